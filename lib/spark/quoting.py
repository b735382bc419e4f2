"""Quotes names in Spark's SQL. Pure."""

from __future__ import annotations


def quote(name: str) -> str:
    """Quote a column's name, which may hold any character."""
    return "`" + name.replace("`", "``") + "`"
