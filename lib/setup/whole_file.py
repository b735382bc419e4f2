"""Writes files that other processes find whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def make_whole(path: Path) -> Iterator[Path]:
    """Provide the path of a new file, which gets its name when the block ends without an error.

    Args:
        path: the final path; its folder is made if it is missing.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(f".{os.getpid()}")
    try:
        yield fresh
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)
