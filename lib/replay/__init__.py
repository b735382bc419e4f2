"""Batch scoring of files, outside of a stream."""
