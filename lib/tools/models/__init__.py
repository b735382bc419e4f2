"""Manages the versions of models: what ``jobs/models.py`` does."""
