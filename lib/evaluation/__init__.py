"""Judges predictions by the outcomes that came to be known afterwards."""
