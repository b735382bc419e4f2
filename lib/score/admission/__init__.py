"""Decides whether a model may score: which class it means, and whether it takes the records."""
