"""A start: what it looks at, whom it waits for, what it takes over, what it refuses."""
