"""Kafka from outside of Spark: options, rights, secrets, and what is checked before a start."""
