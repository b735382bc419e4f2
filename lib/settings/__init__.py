"""The settings of jobs: shared ones, a module for each job, and how they are read."""
