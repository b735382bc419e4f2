"""Splits the messages of one source partition into parts that fit into memory."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from itertools import chain
from tempfile import TemporaryFile
from typing import IO

import numpy as np
import pyarrow as pa

from lib.errors import PlanRefusedError
from lib.exactly_once.transaction.produce import refuse_nulls


def iter_parts(
    batches: Iterable[pa.RecordBatch], part_bytes: int, end: int
) -> Iterator[tuple[pa.Table, int]]:
    """Join the messages of one source partition to parts that fit into memory.

    A part that ends at an offset answers everything before it, so a later row below that offset
    would be lost. If there is more than one part, all rows go to a file first, which shows that
    they are in order, and the parts are read from there.

    Args:
        batches: columns of :data:`lib.messages.columns.MESSAGE_SCHEMA`.
        part_bytes: the size of a part. A part exceeds it by one batch, or by the messages of one
            record, at most.
        end: the end offset of the messages (exclusive).

    Yields:
        The rows of a part, and the offset at which it ends. All messages of a source record are in
        the same part.

    Raises:
        PlanRefusedError: there are several parts, and rows out of the order of their offsets. No
            part has been given.
    """
    waiting = iter(batches)
    held: list[pa.RecordBatch] = []
    held_bytes = 0
    for batch in waiting:
        held.append(batch)
        held_bytes += batch.nbytes
        if held_bytes >= part_bytes:
            break
    else:
        if held:
            yield pa.Table.from_batches(held), end
        return
    # The file has no name, and is in Spark's own folder on this machine for such data.
    folder = os.environ.get("SPARK_LOCAL_DIRS", "").split(",")[0] or None
    with TemporaryFile(dir=folder) as file:
        _write_in_order(chain(held, waiting), file, part_bytes)
        held.clear()
        file.seek(0)
        yield from _iter_ordered(pa.ipc.open_stream(file), part_bytes, end)


def _write_in_order(batches: Iterable[pa.RecordBatch], file: IO[bytes], part_bytes: int) -> None:
    batches = iter(batches)
    first, last = next(batches), 0
    with pa.ipc.new_stream(file, first.schema) as stream:
        for batch in chain([first], batches):
            refuse_nulls(batch, ("source_offset",))
            offsets = batch["source_offset"].to_numpy()
            steps = np.diff(offsets, prepend=last)
            if (steps < 0).any():
                row = int((steps < 0).argmax())
                raise PlanRefusedError(
                    "the messages of a source partition are not in the order of the records they"
                    f" answer: one for @{offsets[row]} comes after one for"
                    f" @{offsets[row] - steps[row]}",
                    hint="keep the order of the source, or raise --part-bytes (found"
                    f" {part_bytes}) above all of a partition's messages in a batch; nothing of"
                    " this partition's batch has been written",
                )
            last = int(offsets[-1])
            stream.write_batch(batch)


def _iter_ordered(
    batches: Iterable[pa.RecordBatch], part_bytes: int, end: int
) -> Iterator[tuple[pa.Table, int]]:
    held: list[pa.RecordBatch] = []
    held_bytes = 0
    for batch in batches:
        held.append(batch)
        held_bytes += batch.nbytes
        if held_bytes < part_bytes:
            continue
        table = pa.Table.from_batches(held)
        offsets = table["source_offset"].to_numpy()
        # More messages of the last record may follow.
        last = int(offsets[-1])
        if whole := int(np.searchsorted(offsets, last)):
            yield table.slice(0, whole), last
            rest = table.slice(whole)
            held, held_bytes = rest.to_batches(), rest.nbytes
    if held:
        yield pa.Table.from_batches(held), end
