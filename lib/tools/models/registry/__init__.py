"""Fetches models that are registered on a server of MLflow."""
