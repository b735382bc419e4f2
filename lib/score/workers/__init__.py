"""Takes models to Spark's Python workers, and scores there."""
