"""Describes records: the language of contracts, their files, and the rules of a field."""
