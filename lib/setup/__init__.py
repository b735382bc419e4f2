"""Prepares a clone: finds Java, fetches jars, and records Spark's classes."""
