"""Spark's session and settings, its Python workers, and its errors."""
