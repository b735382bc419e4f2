"""Spark itself: its session and settings, its Python workers, and what it says when it fails."""
