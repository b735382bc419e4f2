"""Records sent to a topic: where they come from, which are broken, how fast they go."""
