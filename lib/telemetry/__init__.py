"""What the operator sees: progress of the stream."""
