"""The streaming query of the job: put together, started, and what it runs in workers."""
