"""Tests that a challenger and shadows cost no answer."""
