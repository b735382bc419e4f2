"""Sinks beside the exactly-once sink: Kafka at least once, and Parquet files."""
