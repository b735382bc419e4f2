"""Counts the records that wait behind open transactions, and tells of those that do not end."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from confluent_kafka import KafkaException

from lib.background import Background
from lib.kafka.admin import build_admin, read_ends
from lib.kafka.cluster import Cluster
from lib.waiting import Reminder

logger = logging.getLogger(__name__)

# The pause between two questions to the brokers.
_PAUSE_S = 5.0
# Transactions of ordinary producers end within their timeout, which is 60 s by default.
_LONG_S = 90.0


@dataclass
class _Wait:
    """Records that wait in a partition for the end of a transaction.

    Attributes:
        stable: the last stable offset, where the transaction begins.
        since_s: the time by ``time.monotonic`` when it was seen first.
        reminder: the times of the lines about it.
        is_told: whether there has been one.
    """

    stable: int
    since_s: float
    reminder: Reminder = field(default_factory=lambda: Reminder(_LONG_S))
    is_told: bool = False


class HeldBack(Background):
    """Asks the brokers again and again for the ends of the partitions that a query reads.

    ``read_committed`` readers see records up to the last stable offset, where the oldest open
    transaction begins. Spark's lag ends there, and is 0 while a transaction hangs.

    Args:
        cluster: the cluster of the topic.
        topic: the topic that the query reads.
        partitions: the partitions that the query reads; None for all.
        on_ends: a function that gets each answer, partition → (last stable offset, end); None for
            none.
    """

    def __init__(
        self,
        cluster: Cluster,
        topic: str,
        partitions: frozenset[int] | None,
        on_ends: Callable[[Mapping[int, tuple[int, int]]], None] | None = None,
    ) -> None:
        super().__init__("held back", patience_s=0.0)
        self._cluster = cluster
        self._topic = topic
        self._partitions = partitions
        self._on_ends = on_ends
        # Partition → the transaction that is open there.
        self._waits: dict[int, _Wait] = {}
        self._records: int | None = None

    @property
    def records(self) -> int | None:
        """The number of offsets behind the last stable ones; None if it is not known."""
        return self._records

    def note(self, ends: Mapping[int, tuple[int, int]], now_s: float) -> None:
        """Note an answer of the brokers, and log what it shows.

        Args:
            ends: partition → (last stable offset, end).
            now_s: the time by ``time.monotonic``.
        """
        mine = {
            p: it for p, it in ends.items() if self._partitions is None or p in self._partitions
        }
        self._records = sum(max(0, end - stable) for stable, end in mine.values())
        if self._on_ends is not None:
            self._on_ends(mine)
        for partition, (stable, end) in sorted(mine.items()):
            wait = self._waits.get(partition)
            if wait is not None and (end <= stable or wait.stable != stable):
                del self._waits[partition]
                if wait.is_told:
                    logger.warning(
                        "the transaction on %s[%d] has ended, after %.0f s",
                        *(self._topic, partition, now_s - wait.since_s),
                    )
            if end > stable:
                wait = self._waits.setdefault(partition, _Wait(stable, now_s))
                if wait.reminder.is_due(now_s - wait.since_s):
                    wait.is_told = True
                    self._tell(partition, stable, end, now_s - wait.since_s)

    def _tell(self, partition: int, stable: int, end: int, duration_s: float) -> None:
        logger.warning(
            "a transaction on %s[%d] has been open for %.0f s: %d offsets from @%d on wait for its"
            " end, which the lag does not count (kafka-transactions.sh --bootstrap-server %s"
            " find-hanging --topic %s shows the producer)",
            *(self._topic, partition, duration_s, end - stable, stable),
            *(self._cluster.bootstrap_servers, self._topic),
        )

    def _run(self) -> None:
        admin, pause_s = build_admin(self._cluster), 0.0
        while not self._stopped.wait(pause_s):
            pause_s = _PAUSE_S
            try:
                self.note(read_ends(admin, self._topic), time.monotonic())
            except KafkaException:  # brokers that are away are told of elsewhere
                self._records = None
