"""Where messages go. Each sink's docstring opens with what it guarantees."""
