"""Ask brokers for the strikes, and define the error of a strike that finds nothing to strike."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import ClusterMetadata

from tests.crash.arena import INPUT, QUERY, Arena

ADMIN_TIMEOUT_S = 30.0
#: The job may take this long to answer after something has happened.
RECOVERY_TIMEOUT_S = 240.0
_ADMIN_ATTEMPTS = 5
_PATIENCE_S = 1.0
# Errors that a client gets from a broker which has died or is no coordinator any more.
_TRANSIENT = frozenset(
    {
        *(KafkaError._TIMED_OUT, KafkaError._TRANSPORT, KafkaError.NOT_COORDINATOR),
        *(KafkaError.COORDINATOR_NOT_AVAILABLE, KafkaError.COORDINATOR_LOAD_IN_PROGRESS),
    }
)


class NotPossibleError(Exception):
    """An error for a strike that has no target, like a worker that has not been started yet."""


def ask(
    arena: Arena, request: Callable[[], Mapping[Any, Future[Any]]], *, done: int | None = None
) -> dict[Any, Any]:
    """Send a request to the brokers, with a new client if the old one got no answer.

    Args:
        arena: the arena, which holds the client.
        request: function that makes the request with the arena's client.
        done: error which shows that an earlier attempt, whose answer was lost, has worked.

    Returns:
        Subject of the request → the answer; empty where an earlier attempt had worked.
    """
    for attempt in range(1, _ADMIN_ATTEMPTS + 1):
        try:
            return {what: future.result() for what, future in request().items()}
        except KafkaException as failure:
            code = failure.args[0].code()
            if attempt > 1 and code == done:
                return {}
            if code not in _TRANSIENT or attempt == _ADMIN_ATTEMPTS:
                raise
            time.sleep(_PATIENCE_S)
            arena.renew_admin()
    raise AssertionError("the last attempt returns or raises")


def describe_cluster(arena: Arena) -> ClusterMetadata:
    """Return brokers and topics as one of the brokers sees them."""
    try:
        return arena.admin.list_topics(timeout=ADMIN_TIMEOUT_S)
    except KafkaException:
        arena.renew_admin()
        return arena.admin.list_topics(timeout=ADMIN_TIMEOUT_S)


def read_commits(arena: Arena) -> dict[int, int]:
    """Return partition of the input topic → the group's offset, for partitions that have one."""
    consumer = Consumer(
        {
            "bootstrap.servers": arena.ground.broker.bootstrap_servers,
            "group.id": QUERY,
            "enable.auto.commit": False,
            # Read what is committed, whether or not a dead task has left a transaction open.
            "isolation.level": "read_uncommitted",
            "log_level": 0,
        }
    )
    asked = [TopicPartition(INPUT, number) for number in range(arena.partitions)]
    try:
        found = consumer.committed(asked, timeout=ADMIN_TIMEOUT_S)
        return {it.partition: it.offset for it in found if it.offset >= 0}
    finally:
        consumer.close()
