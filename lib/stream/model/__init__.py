"""The version of the model that scores, and how another one takes its place."""
