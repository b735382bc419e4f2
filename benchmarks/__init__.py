"""The project measures itself here; see docs/engineering/benchmarks.md."""
