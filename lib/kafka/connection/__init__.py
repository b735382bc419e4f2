"""Connects to brokers, and finds out why they are not reached."""
