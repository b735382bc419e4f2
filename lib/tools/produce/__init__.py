"""Sends records to a topic: reads or makes them, breaks some, and keeps to a rate."""
