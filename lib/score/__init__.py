"""Scores: what a backend is, which there are, and how one is chosen and loaded."""
