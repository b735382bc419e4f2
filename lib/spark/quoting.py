"""Names in Spark's SQL. Pure."""

from __future__ import annotations


def quote(name: str) -> str:
    """A column's name for Spark, whatever is in it."""
    return "`" + name.replace("`", "``") + "`"
