"""The form of the log: how a start finds it, and how all that is printed gets it."""
