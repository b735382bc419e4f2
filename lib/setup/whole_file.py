"""Writes files that other processes find whole or not at all, and removes old ones."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from lib.errors import DiskFullError, SetupError
from lib.file_errors import build_file_error
from lib.setup.places import BUILD_ROOT

# A process that has started from such a file keeps a copy of its own.
_KEPT_S = 7 * 24 * 3600.0


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


def remove_old(folder: Path, pattern: str) -> None:
    """Remove the files of a week ago whose names match a pattern."""
    for path in folder.glob(pattern):
        with suppress(OSError):  # another process has removed it, or it belongs to another user
            if time.time() - path.stat().st_mtime > _KEPT_S:
                path.unlink()


@contextmanager
def need_written_folder() -> Iterator[None]:
    """Explain an error of what writes into the folder of fetched and recorded files.

    Raises:
        SetupError: the block raised an OSError.
    """
    try:
        yield
    except OSError as error:
        found = build_file_error(error, error.filename or BUILD_ROOT)
        hint = "run `make setup` as the user who owns the folder; then a start writes nothing"
        if isinstance(found, DiskFullError):
            hint = "free some space there"
        raise SetupError(found.message, hint=hint) from error
