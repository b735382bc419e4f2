"""The streaming query of the job: how it is started, watched, started again, and stopped."""
