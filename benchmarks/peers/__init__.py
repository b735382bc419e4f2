"""The job beside what a team might choose instead: ``make bench-peers``; see docs/peers.md."""
