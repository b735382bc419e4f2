"""Commits a batch in one transaction on the driver, or each partition of it on an executor."""
