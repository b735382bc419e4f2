"""The brake: stops the job, or warns, when too many of the last records would be dead letters."""
