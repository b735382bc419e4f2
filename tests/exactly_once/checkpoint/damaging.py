"""Damage a checkpoint's files in the ways that happen."""

from __future__ import annotations

from pathlib import Path

DAMAGES = ("empty", "zeros", "truncated", "garbage", "missing")
_GARBAGE = "\x1f\x8b\x08 no file of Spark's"


def damage(path: Path, how: str) -> None:
    """Damage a file as a crash of the machine, a full disk or a careless person may.

    This removes the checksum that Hadoop's local file system keeps beside a file, because other
    file systems keep none.

    Args:
        path: path of the file.
        how: one of :data:`DAMAGES`.
    """
    text = path.read_text()
    (path.parent / f".{path.name}.crc").unlink(missing_ok=True)
    path.unlink()
    if how != "missing":
        changed = {"empty": "", "zeros": "\0" * 64, "truncated": text[: len(text) // 2]}
        path.write_text(changed.get(how, _GARBAGE))
