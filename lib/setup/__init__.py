"""What a clone needs before anything runs: Java, jars, and the recording of Spark's classes."""
