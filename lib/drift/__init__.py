"""Compares what a model scores with what it was trained on, by bins of each feature. Pure."""
