"""Files that others find whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def make_whole(path: Path) -> Iterator[Path]:
    """The path of a new file, which takes its place when the block ends, and else is removed.

    Args:
        path: where it is found from then on; its folder is made where it is missing.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(f".{os.getpid()}")
    try:
        yield fresh
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)
