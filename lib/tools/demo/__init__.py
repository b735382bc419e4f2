"""The demonstration runs the real job once, on a real broker, and checks every answer."""
