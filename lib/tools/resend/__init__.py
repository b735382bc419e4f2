"""Dead letters sent to the input topic again: which of them, corrected how, each once."""
