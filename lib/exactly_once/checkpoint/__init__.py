"""Reads Spark's checkpoint of a query, and keeps two notes in it."""
