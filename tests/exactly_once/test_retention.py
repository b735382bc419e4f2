"""Queries stand still until brokers have forgotten offsets and transactional ids."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest
from confluent_kafka import OFFSET_INVALID
from pyspark.sql import SparkSession

from lib.kafka.admin import build_admin
from lib.kafka.broker_settings import find_shortest_retention_s
from lib.kafka.cluster import Cluster
from lib.kafka.topics import create_topics
from lib.tools.broker import EmbeddedBroker
from tests.exactly_once.copying import Copying, answers, build_copying, orders
from tests.support.waiting import wait_until

# Offsets are kept for a minute, the shortest time possible; the default is a week. Brokers look
# every second.
_FORGETFUL = {
    "offsets.retention.minutes": "1",
    "offsets.retention.check.interval.ms": "1000",
    "transactional.id.expiration.ms": "60000",
    "transaction.remove.expired.transaction.cleanup.interval.ms": "1000",
}


@pytest.fixture(scope="module")
def forgetful_broker() -> Iterator[EmbeddedBroker]:
    with EmbeddedBroker(_FORGETFUL) as running:
        yield running


def test_queries_that_were_idle_longer_than_brokers_remember_go_on_without_a_restart(
    spark: SparkSession, forgetful_broker: EmbeddedBroker, tmp_path: Path
) -> None:
    """Driver and executors commit; queries are kept alive or not, as on a machine that slept."""
    servers = forgetful_broker.bootstrap_servers
    assert find_shortest_retention_s(build_admin(Cluster(servers))) == 60

    def make_topic(partitions: int = 1, config: object = None) -> str:
        name = uuid.uuid4().hex
        create_topics(Cluster(servers), {name: partitions})
        return name

    def begin(commit: str, keep_alive_s: float) -> Copying:
        copying = build_copying(spark, servers, make_topic, tmp_path / uuid.uuid4().hex)
        changes = {"commit": commit, "keep_alive_s": keep_alive_s}
        copying = replace(copying, settings=replace(copying.settings, **changes))  # type: ignore[arg-type]
        copying.produce(*orders(0, 20))
        stack.enter_context(copying.running(sink := copying.start_sink(), "1 second"))
        sinks.append(sink)
        wait_until(lambda: copying.read() == answers(0, 20))
        return copying

    sinks: list[object] = []
    with ExitStack() as stack:
        slept = [begin(commit, 0) for commit in ("driver", "executor")]
        kept = [begin(commit, 86_400) for commit in ("driver", "executor")]
        idle_since_s = time.monotonic()

        def forgotten() -> bool:
            stamped = [offset for it in slept for offset, _ in it.committed().values()]
            return set(stamped) == {OFFSET_INVALID} and time.monotonic() - idle_since_s > 64

        wait_until(forgotten, timeout_s=180)
        for copying in kept:
            assert sum(offset for offset, _ in copying.committed().values()) == 20
        for copying in (*slept, *kept):
            copying.produce(*orders(20, 40))
        for copying in (*slept, *kept):
            wait_until(lambda it=copying: it.read() == answers(0, 40))  # type: ignore[misc]
            assert sum(offset for offset, _ in copying.committed().values()) == 40
        assert [sink.failure for sink in sinks] == [None] * 4  # type: ignore[attr-defined]
