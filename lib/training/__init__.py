"""Fits the same model in scikit-learn and in Spark, measures both, saves them as one version."""
