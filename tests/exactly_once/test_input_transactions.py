"""Only stable records are read from a topic that a transactional producer writes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from confluent_kafka import Producer

from lib.errors import ResumeRefusedError
from lib.kafka.admin import build_admin, read_offsets
from lib.kafka.cluster import Cluster
from lib.tools.broker import Broker
from tests.conftest import TopicFactory
from tests.exactly_once.copying import COMMITS, Copying, answers, orders


@contextmanager
def open_transaction(servers: str, topic: str, *values: bytes) -> Iterator[Producer]:
    """Keep unstable records in partition 0, behind a stable one, while the block runs."""
    producer = Producer({"bootstrap.servers": servers, "transactional.id": f"feed-{topic}"})
    producer.init_transactions(30)
    producer.begin_transaction()
    producer.produce(topic, key=b"old", value=b"old", partition=0)
    producer.commit_transaction(30)
    producer.begin_transaction()
    for value in values:
        producer.produce(topic, key=value, value=value, partition=0)
    assert producer.flush(30) == 0
    yield producer


def test_the_latest_offset_is_the_last_stable_one(broker: Broker, topic: TopicFactory) -> None:
    name, cluster = topic(1), broker.cluster
    with open_transaction(broker.bootstrap_servers, name, b"a", b"b", b"c") as producer:
        # Two offsets are taken: by the record "old" and by its mark.
        assert read_offsets(build_admin(cluster), name, "latest") == {0: 2}
        producer.commit_transaction(30)
        assert read_offsets(build_admin(cluster), name, "latest") == {0: 6}


@COMMITS
def test_latest_beside_an_open_transaction_starts_where_that_begins(
    copying: Copying, commit: str
) -> None:
    servers, source = copying.settings.bootstrap_servers, copying.settings.source_topic
    with open_transaction(servers, source, b"flight 1", b"flight 2") as producer:
        first = copying.drain(commit=commit, starting_offsets="latest")
        assert (first.failure, copying.committed()[0][0]) == (None, 2)
        producer.commit_transaction(30)
        copying.drain(commit=commit, starting_offsets="latest")

    assert copying.read() == Counter({(b"flight 1", b"FLIGHT 1"): 1, (b"flight 2", b"FLIGHT 2"): 1})


def test_an_offset_past_the_last_stable_one_is_refused_until_the_transaction_has_ended(
    copying: Copying,
) -> None:
    """Tools that ignore transactions set such an offset when asked for the end of the topic."""
    copying.produce(*orders(0, 100))
    copying.drain()
    servers, source = copying.settings.bootstrap_servers, copying.settings.source_topic
    with open_transaction(servers, source, b"in flight") as producer:
        stable = read_offsets(build_admin(Cluster(servers)), source, "latest")[0]
        copying.commit_by_hand({0: stable + 1})
        with pytest.raises(ResumeRefusedError, match=rf"past the last stable offset @{stable}"):
            copying.drain(accept_offsets=copying.find_acceptance())
        producer.abort_transaction(30)
    copying.drain(accept_offsets=copying.find_acceptance())

    assert copying.read() == answers(0, 100)
