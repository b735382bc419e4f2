"""Checks records in three engines; plain Python is the reference for the others."""
