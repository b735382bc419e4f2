"""Describes an evaluation: on the console, and in its files report.html and report.md."""
