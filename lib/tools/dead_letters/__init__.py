"""Sends chosen dead letters to the input topic again, each once, corrected if asked to."""
