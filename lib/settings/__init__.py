"""Settings: what all jobs share, how they are read, and a module for each job."""
