"""The settings of each job."""
