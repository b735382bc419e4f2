"""Decodes and checks records: one at a time, in batches, and in Spark."""
