"""A folder for each backend. None imports another one, so that a worker loads only its own."""
