"""Shows the progress of the stream to the operator."""
