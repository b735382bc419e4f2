"""Spark's checkpoint of a query: what it says, and what the sink notes in it."""
