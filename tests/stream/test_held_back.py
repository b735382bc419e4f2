"""Records that wait behind an open transaction are counted, and told of when it does not end."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
from confluent_kafka import Producer

from lib.kafka.cluster import Cluster
from lib.stream.watch.held_back import HeldBack
from lib.tools.broker import Broker
from tests.conftest import TopicFactory
from tests.support.topics import produce
from tests.support.waiting import wait_until

LOGGER = "lib.stream.watch.held_back"
OPEN = (
    "a transaction on in[1] has been open for {} s: {} offsets from @40 on wait for its end, which"
    " the lag does not count (kafka-transactions.sh --bootstrap-server b:9092 find-hanging --topic"
    " in shows the producer)"
)


@pytest.fixture(autouse=True)
def all_levels(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    with caplog.at_level(logging.INFO, LOGGER):
        yield


def watch(partitions: frozenset[int] | None = None) -> HeldBack:
    return HeldBack(Cluster("b:9092"), "in", partitions)


def test_the_records_of_the_partitions_that_are_read_are_counted() -> None:
    ends = {0: (100, 100), 1: (40, 52), 2: (7, 8)}
    every, some = watch(), watch(frozenset({1, 9}))
    before = every.records

    every.note(ends, 0.0)
    some.note(ends, 0.0)

    assert (before, every.records, some.records) == (None, 13, 12)


def test_a_transaction_that_does_not_end_is_told_at_growing_intervals(
    caplog: pytest.LogCaptureFixture,
) -> None:
    held_back = watch()
    for now_s in range(0, 800, 5):
        held_back.note({0: (100, 100), 1: (40, 52 + now_s)}, 1_000.0 + now_s)
    held_back.note({0: (100, 100), 1: (900, 900)}, 1_800.0)

    assert caplog.messages == [
        OPEN.format(90, 12 + 90),
        OPEN.format(180, 12 + 180),
        OPEN.format(360, 12 + 360),
        OPEN.format(720, 12 + 720),
        "the transaction on in[1] has ended, after 800 s",
    ]


def test_transactions_that_follow_each_other_alarm_nobody(caplog: pytest.LogCaptureFixture) -> None:
    held_back = watch()
    for now_s in range(0, 800, 5):
        held_back.note({0: (now_s, now_s + 20)}, 1_000.0 + now_s)

    assert caplog.messages == []


def test_an_open_transaction_of_a_broker_is_seen_and_so_is_its_end(
    broker: Broker, topic: TopicFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lib.stream.watch.held_back._PAUSE_S", 0.1)
    source = topic(2)
    produce(broker.bootstrap_servers, source, [(b"key", b"value")])
    producer = Producer(
        {"bootstrap.servers": broker.bootstrap_servers, "transactional.id": source, "log_level": 0}
    )
    producer.init_transactions(30)
    with HeldBack(broker.cluster, source, None) as held_back:
        wait_until(lambda: held_back.records == 0)
        producer.begin_transaction()
        for _ in range(7):
            producer.produce(source, b"open", partition=0)
        producer.flush()
        wait_until(lambda: held_back.records == 7)
        producer.commit_transaction()
        wait_until(lambda: held_back.records == 0)
