"""A running query watched: signs of life, brokers that are away, restarts, and the stop."""
