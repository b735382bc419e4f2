"""Watches a running query: signs of life, outages of the brokers, restarts, and stops."""
