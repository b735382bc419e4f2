"""Estimates how far two models differ, with intervals: on the same rows, or on different ones."""
