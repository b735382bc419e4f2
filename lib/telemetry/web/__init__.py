"""Serves metrics, health and the page over HTTP, if they are asked for."""
