"""Reports the drift that a streaming job has counted."""
