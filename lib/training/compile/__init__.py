"""A trained pipeline in faster forms, each kept only if it scores the same."""
