"""What the exactly-once sink needs of a commit strategy: driver or executors."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

import pyarrow as pa
from pyspark.sql import DataFrame

from lib.exactly_once.commit.partition_writers import Predecessors
from lib.exactly_once.commit.topic_watch import TopicWatch
from lib.exactly_once.offsets.resume import Offsets
from lib.exactly_once.transaction.writer import WriteReport

# As ``DataFrame.mapInArrow`` takes it. Gives the columns of ``lib.messages.columns.MESSAGE_TYPES``.
ArrowMap = Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]


@dataclass(frozen=True)
class Batch:
    """One micro-batch.

    Attributes:
        frame: the columns of ``lib.messages.columns.MESSAGE_SCHEMA`` less ``source_topic``; of
            ``map_in_arrow``, where there is one.
        batch_id: Spark's number.
        query_id: Spark's id of the query.
        starts: partition → first offset; new partitions are absent.
        ends: partition → end offset (exclusive).
        watch: tells whether the rows are still those of the topic that the run began with.
        is_suspect: it was begun more than once and never finished.
        map_in_arrow: makes messages of the frame, in its tasks.
    """

    frame: DataFrame
    batch_id: int
    query_id: str
    starts: Offsets
    ends: Offsets
    watch: TopicWatch
    is_suspect: bool = False
    map_in_arrow: ArrowMap | None = None

    @property
    def records(self) -> int:
        """Source records, and markers of transactions between them."""
        return sum(end - self.starts.get(p, 0) for p, end in self.ends.items())

    @property
    def busy_partitions(self) -> set[int]:
        """Partitions that have offsets in this batch."""
        return {p for p, end in self.ends.items() if end > self.starts.get(p, 0)}


@dataclass(frozen=True)
class RenewalTimes:
    """How often offsets are committed while no batch commits them.

    Attributes:
        one_s: any of them, which renews the run's lease.
        all_s: all of them, so that brokers do not forget them.
    """

    one_s: float
    all_s: float


class CommitStrategy(Protocol):
    """Writes batches in transactions. Used on the driver, by one thread."""

    def open(self, predecessors: Predecessors) -> None:
        """Fence older runs, wait for their transactions to end, read what is committed."""

    @property
    def committed(self) -> Mapping[int, int | None]:
        """Partition → the group's offset, None where it has none; after :meth:`open`."""

    @property
    def stamps(self) -> Mapping[int, str | None]:
        """Partition → metadata of that offset as it was found; after :meth:`open`."""

    def claim(self, offsets: Offsets, query_id: str) -> None:
        """Commit the group's offsets under this run's stamp, before the first batch."""

    def write(self, batch: Batch) -> WriteReport:
        """Write a batch that may have been written before, once."""

    def keep_alive(self, times: RenewalTimes) -> None:
        """Commit offsets as they are, if it is time to; from any thread."""

    def release(self) -> None:
        """Sign the offsets as those of a run that has ended, so that nobody waits for it."""

    def give_up(self) -> None:
        """Let writes fail instead of trying again, until the next :meth:`open`; any thread."""

    def close(self) -> None:
        """Let go of the Kafka clients."""
