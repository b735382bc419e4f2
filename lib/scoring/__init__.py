"""Scoring backends: one file each; what they share is in ``base``.

Imports none of them: a Python worker that runs one would import the libraries of all.
"""
