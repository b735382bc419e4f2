"""Run the job on a real YARN with HDFS: ``python -m tests.yarn``."""
