"""The messages that are written to Kafka: their columns, headers and dead letters. Pure."""
