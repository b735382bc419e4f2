"""What a transactional writer needs to know. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class TransactionSettings:
    """What a writer needs to know.

    Attributes:
        bootstrap_servers: ``host:port[,host:port...]``.
        query_name: the consumer group and the transactional id; one running job for each.
        source_topic: whose offsets are committed.
        kafka: further client options, as with ``--kafka``.
        partitions: those of the source topic that the query reads; None for all.
        transactional_id: other than the query's name.
        transaction_timeout_s: after which the broker aborts a transaction that was left open;
            read_committed readers wait that long at most after a crash that nobody restarts.
        request_timeout_s: for each call of the client.
        stuck_after_s: when a call that ignores its timeout is given up; above all of the others.
        slow_after_s: a transaction that took longer is followed by a new producer. librdkafka does
            not bump its epoch for each transaction (KIP-890), so a delayed EndTxn request of a slow
            one could end a later one.
        attempts: how often a batch is tried.
        part_bytes: of messages that a task on an executor holds at once, and that the driver
            collects at once from a batch that has failed twice: it may have been what ended it.
    """

    bootstrap_servers: str
    query_name: str
    source_topic: str
    kafka: Mapping[str, str] = field(default_factory=dict, repr=False)
    partitions: frozenset[int] | None = None
    transactional_id: str | None = None
    transaction_timeout_s: float = 60.0
    request_timeout_s: float = 20.0
    stuck_after_s: float = 75.0
    slow_after_s: float = 5.0
    attempts: int = 6
    part_bytes: int = 64 * 1024 * 1024
