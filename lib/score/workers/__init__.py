"""Models that score in Spark's Python workers: how they get there, and what runs in them."""
