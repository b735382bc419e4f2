"""The checks of a record, once for each engine: plain Python is the reference for the others."""
