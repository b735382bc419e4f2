"""Encodes scored records as Kafka messages, in Python workers and in Spark."""
