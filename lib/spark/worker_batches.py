"""Applies a function to the Arrow batches of a partition, in a Python worker of Spark."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pyarrow as pa

from lib.spark.worker_end import raise_broken_pipes
from lib.spark.worker_memory import exempt_what_is_loaded, pause_collection


def map_batches(
    work: Callable[[pa.RecordBatch], pa.RecordBatch], batches: Iterator[pa.RecordBatch]
) -> Iterator[pa.RecordBatch]:
    """Apply a function to one batch after the other, without garbage collection meanwhile."""
    for batch in batches:
        with pause_collection(), raise_broken_pipes():
            done = work(batch)
        exempt_what_is_loaded()
        yield done
