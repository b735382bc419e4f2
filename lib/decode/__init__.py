"""Records in: what a valid one is, for one record, for batches, and for Spark."""
