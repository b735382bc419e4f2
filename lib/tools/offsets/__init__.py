"""Shows, sets, copies and deletes the positions of a query's consumer group."""
