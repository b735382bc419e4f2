"""A start waits for the run before it, takes the query over from it, or refuses to start."""
