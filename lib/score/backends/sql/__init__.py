"""SQL: the model as one expression that Spark's JVM evaluates."""
