"""What the project measures of itself; see docs/engineering/benchmarks.md."""
