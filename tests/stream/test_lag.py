"""The age of the first record without an answer is read again and again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from confluent_kafka import Producer

from lib.kafka.cluster import Cluster
from lib.stream.watch.lag import LagWatch, OldestRecords
from lib.telemetry.figures import Figures

if TYPE_CHECKING:
    from lib.tools.broker import Broker
    from tests.conftest import TopicFactory

FIRST_MS = 1_767_323_000_000


def fill(servers: str, topic: str, partition: int, count: int) -> None:
    """Write records whose timestamps are a second apart."""
    producer = Producer({"bootstrap.servers": servers})
    for number in range(count):
        producer.produce(
            topic, value=b"x" * 1_000, partition=partition, timestamp=FIRST_MS + number * 1_000
        )
    assert producer.flush(30) == 0


def test_each_look_finds_the_record_at_its_positions(broker: Broker, topic: TopicFactory) -> None:
    name = topic(2)
    fill(broker.bootstrap_servers, name, 0, 300)
    fill(broker.bootstrap_servers, name, 1, 2)
    oldest = OldestRecords(Cluster(broker.bootstrap_servers), name)

    assert oldest.find({0: 0, 1: 0}) == {0: FIRST_MS / 1_000, 1: FIRST_MS / 1_000}
    assert oldest.find({0: 120, 1: 1}) == {0: FIRST_MS / 1_000 + 120, 1: FIRST_MS / 1_000 + 1}
    assert oldest.find({0: 120}) == {0: FIRST_MS / 1_000 + 120}
    assert oldest.find({}) == {}


def test_records_of_an_open_transaction_wait_too(broker: Broker, topic: TopicFactory) -> None:
    name = topic(1)
    fill(broker.bootstrap_servers, name, 0, 1)
    upstream = Producer(
        {"bootstrap.servers": broker.bootstrap_servers, "transactional.id": f"upstream-{name}"}
    )
    upstream.init_transactions(30)
    upstream.begin_transaction()
    upstream.produce(name, value=b"x", timestamp=FIRST_MS + 5_000)
    assert upstream.flush(30) == 0
    figures = Figures()
    figures.note_answered({0: 1})
    watch = LagWatch(Cluster(broker.bootstrap_servers), name, figures)

    watch.note({0: (1, 2)})

    assert figures.lag[0].records == 1
    assert figures.lag[0].find_age_s(FIRST_MS / 1_000 + 7) == 2.0
    upstream.abort_transaction(30)
