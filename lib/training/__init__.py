"""Fit the same model in scikit-learn and in Spark, measure both, save them as one version."""
