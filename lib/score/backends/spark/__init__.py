"""Spark ML: a PipelineModel that Spark's JVM evaluates."""
