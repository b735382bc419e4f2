"""Settings of the jobs that say how good predictions are."""
