"""Checks all that a job needs, and changes nothing: the work of ``jobs/check.py``."""
