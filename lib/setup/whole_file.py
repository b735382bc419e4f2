"""Writes files that other processes find whole or not at all, and says which ones it cannot."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lib.errors import SetupError


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


@contextmanager
def need_written_folder() -> Iterator[None]:
    """Explain an error of what writes into the folder of fetched and recorded files.

    Raises:
        SetupError: the block raised an OSError.
    """
    try:
        yield
    except OSError as error:
        raise SetupError(
            f"{error.filename}: {error.strerror}",
            hint="run `make setup` as the user who owns the folder; then a start writes nothing",
        ) from error
