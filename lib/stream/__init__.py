"""Builds, starts and watches the streaming query of the job, and its part in Python workers."""
