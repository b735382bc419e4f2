"""Kafka without Spark: options, rights, secrets, topics, and checks before a start."""
