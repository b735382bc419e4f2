"""Counts the bins of committed records on the driver, keeps them, and tells of drift."""
