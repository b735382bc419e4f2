from __future__ import annotations

import time

from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewPartitions

from lib.broker import EmbeddedBroker, create_topics
from tests.ledger import Ledger
from tests.load import Load
from tests.numbered import NumberedRecords, read_broken_key, read_event_time
from tests.topics import read_topic


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
    create_topics(broker.bootstrap_servers, {"load": 2}, {"max.message.bytes": "2097152"})
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


def test_it_waits_while_too_many_records_have_no_answer(
    crashable_broker: EmbeddedBroker,
) -> None:
    ledger = Ledger(NumberedRecords(pool_size=50), {})
    create_topics(crashable_broker.bootstrap_servers, {"load": 1})
    servers = crashable_broker.bootstrap_servers
    with Load(servers, "load", 1, ledger, rate=10_000, backlog=300) as load:
        load.allow(1_000)
        await_sent(load, 300)
        time.sleep(0.3)
        assert load.sent == ledger.expected == 300
