"""Compares models by what they have written to topics: in pairs, or each on records of its own."""
