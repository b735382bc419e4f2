"""Selects the messages of an Arrow table that are still to be written, and produces them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from confluent_kafka import Producer

from lib.errors import PlanRefusedError, SinkError
from lib.exactly_once.offsets.resume import Offsets

# The number of messages that librdkafka gets at once.
_CHUNK_ROWS = 5_000
# Above these sizes the producer's queue is emptied before it gets more messages. Its own limits are
# higher: a full queue would take only a part of a chunk, and the commit would succeed all the same.
_MAX_QUEUED_MESSAGES = 200_000
_MAX_QUEUED_BYTES = 256 * 1024 * 1024
# Without a topic a message goes nowhere, without a position it would count as committed.
_NEVER_NULL = ("topic", "source_partition", "source_offset")


def drop_committed(
    messages: pa.Table | None,
    committed: Mapping[int, int | None],
    ends: Offsets,
    starts: Offsets | None = None,
    topic: str = "",
) -> tuple[pa.Table | None, dict[str, int]]:
    """Leave out the messages that an earlier run has committed.

    Only rows of the batch itself can have been committed. A row below the batch's start answers a
    record of an earlier batch, whose offset was committed without it: it would be lost.

    Args:
        messages: columns of :data:`lib.messages.columns.MESSAGE_SCHEMA`.
        committed: partition → the group's offset; everything below it has been answered.
        ends: partition → end offset of the batch (exclusive).
        starts: partition → first offset of the batch; None where that is not known.
        topic: the source topic, for the texts of errors.

    Returns:
        The messages still to be written (None if there are none), and topic → number of messages
        that were left out.

    Raises:
        PlanRefusedError: a message names no topic, or no record that it answers.
        SinkError: a message answers a record that the batch does not hold.
    """
    if messages is None or messages.num_rows == 0:
        return None, {}
    refuse_nulls(messages, _NEVER_NULL)
    partitions = messages["source_partition"].to_numpy()
    offsets = messages["source_offset"].to_numpy()
    size = int(partitions.max()) + 1
    first, low, high = (np.zeros(size, np.int64) for _ in range(3))
    for partition in range(size):
        first[partition] = (starts or {}).get(partition, 0)
        low[partition] = committed.get(partition) or 0
        high[partition] = ends.get(partition, 0)
    if (before := offsets < first[partitions]).any():
        row = int(before.argmax())
        raise SinkError(
            f"a message answers the record {topic}[{partitions[row]}]@{offsets[row]}, but its batch"
            f" starts @{first[partitions[row]]}",
            hint="give every message in the batch of the record that it answers, with that record's"
            " partition and offset",
        )
    if (beyond := offsets >= high[partitions]).any():
        row = int(beyond.argmax())
        raise SinkError(
            f"a message answers the record {topic}[{partitions[row]}]@{offsets[row]}, but its batch"
            f" ends @{high[partitions[row]]}",
            hint="the frame must keep the source's partition and offset of every record",
        )
    is_fresh = offsets >= low[partitions]
    if is_fresh.all():
        return messages, {}
    left_out = messages["topic"].filter(pa.array(~is_fresh)).value_counts()
    counts = {count["values"]: count["counts"] for count in left_out.to_pylist()}
    return (messages.filter(pa.array(is_fresh)) if is_fresh.any() else None), counts


def refuse_loop(messages: pa.Table | None, source_topic: str) -> None:
    """Make sure that no message goes to the topic that the query reads: it would never end.

    Args:
        messages: columns of :data:`lib.messages.columns.MESSAGE_SCHEMA`.
        source_topic: the topic that the query reads.

    Raises:
        PlanRefusedError: a message does; the error says how many.
    """
    if messages is None:
        return
    count = pc.sum(pc.equal(messages["topic"], source_topic)).as_py()
    if count:
        raise PlanRefusedError(
            f"{count} of {messages.num_rows} messages are addressed to {source_topic}, which the"
            " query reads: it would answer its own messages without end",
            hint="send them to another topic; nothing of this batch was written",
        )


def add_counts(*counts: Mapping[str, int]) -> dict[str, int]:
    """Return topic → number of messages in all the counts together."""
    total: Counter[str] = Counter()
    for count in counts:
        total.update(count)
    return dict(total)


def refuse_nulls(rows: pa.Table | pa.RecordBatch, columns: Iterable[str]) -> None:
    """Refuse messages without a value in a column that every message needs.

    Raises:
        PlanRefusedError: one of the columns has nulls.
    """
    for column in columns:
        if count := rows[column].null_count:
            raise PlanRefusedError(
                f"{count} of {rows.num_rows} messages have no {column}",
                hint="give every message a topic, and the source_partition and source_offset of the"
                " record it answers",
            )


def produce_messages(
    producer: Producer, messages: pa.Table, flush_timeout_s: float
) -> dict[str, int]:
    """Hand all messages to a producer, in the order of the table within each topic.

    Args:
        producer: a producer with an open transaction.
        messages: columns of :data:`lib.messages.columns.MESSAGE_SCHEMA`.
        flush_timeout_s: the time in which a long queue has to be emptied.

    Returns:
        topic → number of messages.

    Raises:
        BufferError: not all of them were taken; the transaction must be aborted.
    """
    written = {}
    for topic in pc.unique(messages["topic"]).to_pylist():
        rows = messages.filter(pc.equal(messages["topic"], topic))
        queued_bytes = 0
        for batch in rows.select(["key", "value", "headers"]).to_batches(_CHUNK_ROWS):
            queued_bytes += batch.nbytes
            if len(producer) > _MAX_QUEUED_MESSAGES or queued_bytes > _MAX_QUEUED_BYTES:
                producer.flush(flush_timeout_s)
                queued_bytes = batch.nbytes
            # produce_batch is several times faster, but drops headers silently.
            has_headers = batch["headers"].null_count < batch.num_rows
            (_produce_with_headers if has_headers else _produce_plain)(producer, topic, batch)
            producer.poll(0)
        written[topic] = rows.num_rows
    return written


def _produce_plain(producer: Producer, topic: str, batch: pa.RecordBatch) -> None:
    keys, values = batch.column("key").to_pylist(), batch.column("value").to_pylist()
    items: list[dict[str, Any]] = [
        {"key": key, "value": value} for key, value in zip(keys, values, strict=True)
    ]
    queued = producer.produce_batch(topic, items)
    if queued != len(items):
        refused = next((item["_error"] for item in items if "_error" in item), "no reason given")
        raise BufferError(refused)


def _produce_with_headers(producer: Producer, topic: str, batch: pa.RecordBatch) -> None:
    keys, values = batch.column("key").to_pylist(), batch.column("value").to_pylist()
    listed = batch.column("headers")
    flat = listed.flatten()
    pairs = list(zip(flat.field("key").to_pylist(), flat.field("value").to_pylist(), strict=True))
    ends = np.cumsum(pc.fill_null(pc.list_value_length(listed), 0)).tolist()
    for key, value, (start, end) in zip(keys, values, pairwise([0, *ends]), strict=True):
        producer.produce(topic, key=key, value=value, headers=pairs[start:end])
