from __future__ import annotations

import time

from confluent_kafka.admin import AdminClient, NewPartitions

from lib.kafka.topics import create_topics
from lib.tools.broker import Broker, EmbeddedBroker
from tests.conftest import TopicFactory
from tests.support.ledger import Ledger
from tests.support.load import Load
from tests.support.numbered import NumberedRecords, read_broken_key, read_event_time
from tests.support.topics import read_topic
from tests.support.transactional_load import TransactionalLoad


def await_sent(load: Load, count: int) -> None:
    deadline = time.monotonic() + 60
    while load.sent < count:
        load.check()
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_each_record_is_sent_once_and_keys_keep_their_order_whatever_the_broker_does(
    crashable_broker: EmbeddedBroker,
) -> None:
    broker, ledger = crashable_broker, Ledger(NumberedRecords(pool_size=50), {})
    create_topics(broker.cluster, {"load": 2}, {"max.message.bytes": "2097152"})
    with Load(broker.bootstrap_servers, "load", 2, ledger, rate=4_000) as load:
        load.allow(3_000)
        await_sent(load, 1_000)
        broker.kill()
        await_sent(load, 3_000)
        broker.restart()
        admin = AdminClient({"bootstrap.servers": broker.bootstrap_servers})
        for future in admin.create_partitions([NewPartitions("load", 3)]).values():
            future.result()
        load.add_partition()
        load.allow(1_000)
        await_sent(load, 4_000)
        load.flush()

    numbers, last_of_key = [], dict[bytes, int]()
    for message in read_topic(broker.bootstrap_servers, "load"):
        key, value = message.key() or b"", message.value()
        number = read_broken_key(key)
        if number is None:
            number = read_event_time(value or b"")
            assert number is not None
            assert number > last_of_key.get(key, -1)
            last_of_key[key] = number
        else:
            assert (key, value) == ledger.records.broken(number)
        numbers.append(number)
    assert sorted(numbers) == list(range(4_000))


def test_in_transactions_some_records_are_seen_once_and_others_never(
    broker: Broker, topic: TopicFactory
) -> None:
    name, ledger = topic(2), Ledger(NumberedRecords(pool_size=50), {})
    servers = broker.bootstrap_servers
    load = TransactionalLoad(servers, name, 2, ledger)
    load.start()
    load.send(20, is_aborted=False)
    load.send(20, is_aborted=True)
    seen_while_open: list[int] = []

    def look() -> None:
        seen_while_open.append(len(read_topic(servers, name)))

    load.send(10, is_aborted=False, while_open=look)

    numbers = [read_event_time(it.value() or b"") for it in read_topic(servers, name)]
    assert seen_while_open == [20]
    assert sorted(it for it in numbers if it is not None) == [*range(20), *range(40, 50)]
    assert ledger.expected == 30


def test_it_waits_while_too_many_records_have_no_answer(
    crashable_broker: EmbeddedBroker,
) -> None:
    ledger = Ledger(NumberedRecords(pool_size=50), {})
    create_topics(crashable_broker.cluster, {"load": 1})
    servers = crashable_broker.bootstrap_servers
    with Load(servers, "load", 1, ledger, rate=10_000, backlog=300) as load:
        load.allow(1_000)
        await_sent(load, 300)
        time.sleep(0.3)
        assert load.sent == ledger.expected == 300
