"""Computes and compares the checksums of a version's files.

They guard against damage, incomplete copies and edits by mistake. Whoever can write the store can
also write ``metadata.json``: access to the store has to be as restricted as access to the code.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from lib.errors import ModelCorruptError
from lib.store.metadata import METADATA_FILE, ModelMetadata

# The files that macOS, and NFS for a file that is deleted while it is open, leave behind.
_HIDDEN = re.compile(r"\.DS_Store|\.localized|\._.+|\.nfs[0-9a-f]+")
_WINDOWS = frozenset({"thumbs.db", "ehthumbs.db", "desktop.ini"})
_HADOOP_CHECKSUM = re.compile(r"(?P<folder>(?:.*/)?)\.(?P<name>[^/]+)\.crc")


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

    Files that operating systems leave behind are no fault where nobody reads them, and Hadoop's own
    checksums (``.part-0.crc``) may be missing.

    Raises:
        ModelCorruptError: a file is altered, missing or extra; the error names it.
    """
    found, expected = hash_tree(version_dir), metadata.artefacts
    for path in sorted(found.keys() | expected.keys()):
        is_left_behind = path not in expected and _is_left_behind(path, expected)
        is_checksum = path not in found and _find_summed(path) in found
        if not (is_left_behind or is_checksum):
            check_hash(version_dir / path, found.get(path), expected.get(path))


def _is_left_behind(path: str, artefacts: Iterable[str]) -> bool:
    """Tell whether an operating system has put a file beside the model's, where nobody reads it.

    Spark reads all files of its folders but those whose names begin with a dot or underscore.
    """
    name = PurePosixPath(path).name
    if _HIDDEN.fullmatch(name):
        return True
    folder = PurePosixPath(path).parent
    is_read = any(folder in PurePosixPath(it).parents for it in artefacts if "/" in it)
    return name.lower() in _WINDOWS and (str(folder) == "." or not is_read)


def _find_summed(path: str) -> str | None:
    """Find the file whose checksum for Hadoop a file holds; None if it holds none.

    Hadoop reads ``part-0`` without ``.part-0.crc`` too, and the sha256 says more.
    """
    match = _HADOOP_CHECKSUM.fullmatch(path)
    return match and f"{match['folder']}{match['name']}"


def check_hash(path: Path, found: str | None, expected: str | None) -> None:
    """Compare one file's sha256 with the saved one; None stands for a file that does not exist.

    Raises:
        ModelCorruptError: the two differ.
    """
    if found != expected:
        hint = None
        if expected is None:
            hint = "remove the file, which does not belong to the version"
        raise ModelCorruptError(
            f"{path}: found {_state(found)}, expected {_state(expected)}", hint=hint
        )


def _state(sha256: str | None) -> str:
    return "no such file" if sha256 is None else f"sha256 {sha256}"
