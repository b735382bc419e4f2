"""Scores with models: defines, chooses and loads backends."""
