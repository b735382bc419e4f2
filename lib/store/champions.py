"""The champion of a model and those before it: two small files beside the versions.

``champion`` holds the number of the version in use, and is the truth. ``champions`` lists the
champions so far, the oldest first; what it holds behind the present one comes from a change that
was cut off, and is passed over. Each file is replaced atomically.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from lib.errors import ModelCorruptError
from lib.file_errors import naming_file
from lib.store.reference import CHAMPION, VERSION
from lib.store.writing import replace_text

HISTORY = "champions"
_LOCK = ".lock"
# More are never gone back to.
_KEPT = 100


@contextmanager
def lock_changes(folder: Path) -> Iterator[None]:
    """Hold off the other processes that change a model's champion or delete versions.

    Args:
        folder: the folder of the model, which exists.

    Raises:
        FileError: this user must not write there.
    """
    path = folder / _LOCK
    with naming_file(path):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def read_champion(folder: Path) -> int | None:
    """Read the number of the version in use; None if there is none.

    Raises:
        ModelCorruptError: the pointer is a symbolic link or holds no number.
    """
    pointer = folder / CHAMPION
    if pointer.is_symlink():
        raise ModelCorruptError(f"{pointer}: found a symbolic link, expected a plain file")
    if not pointer.is_file():
        return None
    text = pointer.read_bytes().decode(errors="replace").strip()
    if not VERSION.fullmatch(text):
        raise ModelCorruptError(
            f"{pointer}: found {text!r:.40}, expected a version number",
            hint="promote a version again",
        )
    return int(text)


def list_champions(folder: Path) -> list[int]:
    """List the champions so far, the present one last; empty if there is none.

    Raises:
        ModelCorruptError: the pointer holds no number.
    """
    present = read_champion(folder)
    if present is None:
        return []
    history = folder / HISTORY
    lines = history.read_text(errors="replace").split() if history.is_file() else []
    numbers = [int(line) for line in lines if VERSION.fullmatch(line)]
    while numbers and numbers[-1] != present:
        numbers.pop()
    # Older stores, and people who write the pointer by hand, leave no history.
    return numbers or [present]


def push_champion(folder: Path, before: Sequence[int], version: int) -> None:
    """Make a version the champion; ``before`` is the list of the champions so far."""
    if before and before[-1] == version:
        return
    # If this is cut off in between, the old champion is still the last that counts.
    _write(folder / HISTORY, [*before, version][-_KEPT:])
    _write(folder / CHAMPION, [version])


def return_to_champion(folder: Path, champions: Sequence[int]) -> None:
    """Make the last of these champions the present one again, as if none had come after it."""
    # If this is cut off in between, the history still lists this champion at its place.
    _write(folder / CHAMPION, champions[-1:])
    _write(folder / HISTORY, champions)


def _write(path: Path, numbers: Sequence[int]) -> None:
    replace_text(path, "".join(f"{number}\n" for number in numbers))
