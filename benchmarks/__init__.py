"""What the project measures of itself; see docs/benchmarks.md."""
