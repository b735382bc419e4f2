"""The Spark backend, whose PipelineModel Spark's JVM evaluates."""
