"""Computes and compares the checksums of a version's files.

They guard against damage, incomplete copies and edits by mistake. Whoever can write the store can
also write ``metadata.json``: access to the store has to be as restricted as access to the code.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from lib.errors import ModelCorruptError
from lib.store.metadata import METADATA_FILE, ModelMetadata


def sha256_file(path: Path) -> str:
    """Compute the sha256 of a file as hexadecimal text."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_bytes(content: bytes) -> str:
    """Compute the sha256 of bytes as hexadecimal text."""
    return hashlib.sha256(content).hexdigest()


def hash_tree(folder: Path) -> dict[str, str]:
    """Compute the sha256 of every file below ``folder`` except its ``metadata.json``.

    Returns:
        relative POSIX path → sha256, sorted by path.

    Raises:
        ModelCorruptError: the folder holds a symbolic link, a socket or another special file.
    """
    hashes = {}
    for path in list_files(folder):
        relative = path.relative_to(folder).as_posix()
        if relative != METADATA_FILE:
            hashes[relative] = sha256_file(path)
    return dict(sorted(hashes.items()))


def list_files(folder: Path) -> list[Path]:
    """List all files below ``folder`` in order.

    Raises:
        ModelCorruptError: the folder holds something that is neither a plain file nor a folder.
    """
    files = []
    for parent, folders, names in os.walk(folder):
        for name in (*folders, *names):
            path = Path(parent, name)
            if path.is_symlink() or not (path.is_dir() or path.is_file()):
                raise ModelCorruptError(
                    f"{path}: found a symbolic link or special file, expected plain files only",
                    hint="copy the version with its files, not with links to them",
                )
        files += [Path(parent, name) for name in names]
    return sorted(files)


def verify(version_dir: Path, metadata: ModelMetadata) -> None:
    """Check that a version's files are exactly those that were saved.

    Raises:
        ModelCorruptError: a file is altered, missing or extra; the error names it.
    """
    found = hash_tree(version_dir)
    for path in sorted(found.keys() | metadata.artefacts.keys()):
        check_hash(version_dir / path, found.get(path), metadata.artefacts.get(path))


def check_hash(path: Path, found: str | None, expected: str | None) -> None:
    """Compare one file's sha256 with the saved one; None stands for a file that does not exist.

    Raises:
        ModelCorruptError: the two differ.
    """
    if found != expected:
        raise ModelCorruptError(f"{path}: found {_state(found)}, expected {_state(expected)}")


def _state(sha256: str | None) -> str:
    return "no such file" if sha256 is None else f"sha256 {sha256}"
