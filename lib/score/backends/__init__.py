"""A folder for each backend. None imports another: a worker would load the libraries of all."""
