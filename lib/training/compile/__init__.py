"""Compiles a trained pipeline to faster forms, and keeps those that score the same."""
