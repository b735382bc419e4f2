"""Writes names and paths in the forms that Spark takes. Pure."""

from __future__ import annotations

from pathlib import Path


def quote(name: str) -> str:
    """Quote a column's name, which may hold any character."""
    return "`" + name.replace("`", "``") + "`"


def name_local_path(path: Path) -> str:
    """Write the path of a local file for Hadoop, whose default file system may be another one.

    It looks like a URI and is none: Hadoop takes ``%20`` in it for these three characters.
    """
    return f"file://{path.resolve()}"
