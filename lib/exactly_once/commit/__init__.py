"""Commits of a batch: one transaction on the driver, or one for each partition on executors."""
