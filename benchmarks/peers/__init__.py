"""Compare the job with alternatives: ``make bench-peers``; see docs/peers.md."""
