"""Sinks beside the exactly-once one: to Kafka at least once, and to Parquet files."""
