"""The protocol of the two commit strategies, on the driver and on executors."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import pyarrow as pa
from pyspark.sql import DataFrame

from lib.exactly_once.commit.partition_writers import Predecessors
from lib.exactly_once.commit.topic_watch import TopicWatch
from lib.exactly_once.offsets.resume import Offsets
from lib.exactly_once.transaction.writer import WriteReport
from lib.messages.columns import COLLECTED_COLUMNS, TALLY_COLUMNS

# A function for ``DataFrame.mapInArrow`` that gives ``lib.messages.columns.MESSAGE_TYPES``.
ArrowMap = Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]
# A function that gets the messages before they are written; its error ends the query.
Check = Callable[[pa.Table], None]


class MessageBrake(Protocol):
    """Judges messages before they are written, and learns of those that were. Tasks get a pickle.

    Batches may be repeated, and are written in parts if they are large.
    """

    def pass_over(self, ends: Mapping[int, int | None]) -> object:
        """Neither count nor judge records below these offsets; partition → offset or None."""

    def judge(self, messages: pa.Table) -> None:
        """Judge messages of a batch or of one of its parts; an error ends the query."""

    def note(self, starts: Offsets, ends: Offsets, answered: Mapping[str, int]) -> None:
        """Note that a batch was written, with topic → number of messages. On the driver."""


@dataclass(frozen=True)
class Batch:
    """One micro-batch.

    Attributes:
        frame: the messages, with the columns of ``lib.messages.columns.MESSAGE_SCHEMA`` without
            ``source_topic``; or the input of ``map_in_arrow``, where there is one.
        batch_id: Spark's number of the batch.
        query_id: Spark's id of the query.
        starts: partition → first offset; new partitions are absent.
        ends: partition → end offset (exclusive).
        watch: the watch, which tells whether the topic is still the one that the run began with.
        is_suspect: whether the batch was begun more than once and never finished.
        map_in_arrow: a function that makes messages of the frame in its tasks.
        is_repeated: whether tasks have tried to write the batch before in this run.
        read_partitions: the number of partitions that Spark reads, some of them perhaps beyond the
            end of the run only; None if those with offsets in this batch are all.
        counted: partition → the offset below which this run has counted the answers; None if
            messages are not counted.
        counted_columns: the columns by which messages are counted.
        check: a function that gets the messages before they are written, on the driver or in the
            tasks that write them; None for none.
        brake: a judge of the messages, who is asked after that; None for none.
    """

    frame: DataFrame
    batch_id: int
    query_id: str
    starts: Offsets
    ends: Offsets
    watch: TopicWatch
    is_suspect: bool = False
    map_in_arrow: ArrowMap | None = None
    is_repeated: bool = False
    read_partitions: int | None = None
    counted: Offsets | None = None
    counted_columns: Sequence[str] = TALLY_COLUMNS
    check: Check | None = None
    brake: MessageBrake | None = None

    @property
    def columns(self) -> Sequence[str]:
        """The columns of messages that are written or counted."""
        counted = () if self.counted is None else self.counted_columns
        return (*COLLECTED_COLUMNS, *counted)

    @property
    def records(self) -> int:
        """The number of source records, with the markers of transactions between them."""
        return sum(end - self.starts.get(p, 0) for p, end in self.ends.items())

    @property
    def busy_partitions(self) -> set[int]:
        """The partitions that have offsets in this batch."""
        return {p for p, end in self.ends.items() if end > self.starts.get(p, 0)}


@dataclass(frozen=True)
class RenewalTimes:
    """The intervals in seconds at which an idle run commits offsets.

    Attributes:
        one_s: the time between two commits of any offset, which renews the run's lease.
        all_s: the time between two commits of all offsets, so that brokers do not forget them.
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

    @property
    def committed_all_s(self) -> float:
        """The time, by ``time.monotonic``, at which all offsets were committed last."""

    def claim(self, offsets: Offsets, query_id: str) -> None:
        """Commit the group's offsets under this run's stamp, before the first batch."""

    def write(self, batch: Batch) -> WriteReport:
        """Write a batch once, whether or not it has been written before."""

    def forgive(self) -> None:
        """Let batches be written again after Kafka has refused a message that will be left out."""

    def keep_alive(self, times: RenewalTimes) -> None:
        """Commit unchanged offsets if it is time to; from any thread."""

    def release(self) -> None:
        """Mark the offsets as those of a run that has ended, so that nobody waits for it."""

    def give_up(self) -> None:
        """Let writes fail at once, until the next :meth:`open`; from any thread."""

    def close(self) -> None:
        """Close the Kafka clients."""
