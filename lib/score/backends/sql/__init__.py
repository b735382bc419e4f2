"""The SQL backend, whose model is one expression that Spark's JVM evaluates."""
