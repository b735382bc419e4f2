"""Shows the job as a page: what it does, how well, what to do, and how it was in the last hour."""
