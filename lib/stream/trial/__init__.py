"""Lets other models score records beside the champion: a challenger a share, shadows all of them.

A challenger answers the records of its share instead of the champion. A shadow answers nobody: it
scores what others answer, and its messages go to a topic of their own.
"""
