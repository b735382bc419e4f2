"""Provides a device that is nearly full, for tests of what is said about it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def small_disk(place: Path) -> Iterator[Path]:
    """Mount a file system of 256 kB at a new folder, and fill all but 30 kB of it.

    The test is skipped, with one line, where this user must not mount anything.
    """
    place.mkdir()
    mounting = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(place)]
    if subprocess.run(mounting, capture_output=True, check=False).returncode:
        pytest.skip("this user must not mount a small file system")
    try:
        (place / "ballast").write_bytes(b"\0" * 230_000)
        yield place
    finally:
        # Spark may still hold a file.
        subprocess.run(["umount", "--lazy", str(place)], check=True)


def make_read_only(disk: Path) -> None:
    """Mount a small disk again, so that it can only be read."""
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
