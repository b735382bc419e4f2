"""Keeps the rows of a frame while they are used several times."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pyspark import StorageLevel
from pyspark.sql import DataFrame


@contextmanager
def keep_on_disk(frame: DataFrame) -> Iterator[DataFrame]:
    """Compute the rows of a frame once, and keep them on local disks within the block."""
    kept = frame.persist(StorageLevel.DISK_ONLY)
    try:
        yield kept
    finally:
        kept.unpersist()
