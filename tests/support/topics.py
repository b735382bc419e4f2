"""Write topics, read them completely, and compare the answers with the records."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    Producer,
    TopicPartition,
)

from lib.messages.dead_letter import DeadLetter
from lib.messages.header_text import Header
from lib.record.prediction import Prediction
from lib.synth import break_record, encode_record, iter_records
from lib.synth.telco import make_customers
from tests.support.telco import CUSTOMER

_READ_TIMEOUT_S = 60.0

# key and value as they go into the input topic
Record = tuple[bytes, bytes | None]


def build_customers(count: int, *, bad_share: float = 0.0, seed: int = 1) -> list[Record]:
    """Return customers with unique keys, some of them broken in all the ways there are."""
    chance = random.Random(seed)
    records: list[Record] = []
    for customer in iter_records(make_customers(count, seed), CUSTOMER):
        key, value = customer["customerID"].encode(), encode_record(customer, CUSTOMER)
        is_bad = chance.random() < bad_share
        records.append((key, break_record(value, chance, CUSTOMER) if is_bad else value))
    return records


def produce(
    bootstrap_servers: str,
    topic: str,
    records: Iterable[Record],
    timestamp: int = 0,
    headers: Sequence[Header] = (),
) -> None:
    """Write records and wait until the broker has all of them.

    Args:
        bootstrap_servers: address of the broker.
        topic: name of the topic.
        records: keys and values.
        timestamp: Kafka timestamp of all of them in milliseconds; 0 for now.
        headers: headers of all of them.
    """
    failed: list[KafkaError] = []

    def note(error: KafkaError | None, message: Message) -> None:
        if error is not None:
            failed.append(error)

    settings = {"bootstrap.servers": bootstrap_servers, "linger.ms": 5}
    producer = Producer({**settings, "message.max.bytes": 2_000_000, "on_delivery": note})
    for key, value in records:
        while True:
            try:
                producer.produce(
                    topic, key=key, value=value, timestamp=timestamp, headers=[*headers]
                )
                break
            except BufferError:
                producer.poll(0.1)
        producer.poll(0)
    assert producer.flush(_READ_TIMEOUT_S) == 0
    assert not failed, failed[0]


def read_topic(
    bootstrap_servers: str, topic: str, isolation_level: str = "read_committed"
) -> list[Message]:
    """Return every message of a topic up to its end that the isolation level shows."""
    return list(iter_topic(bootstrap_servers, topic, isolation_level))


def iter_topic(
    bootstrap_servers: str, topic: str, isolation_level: str = "read_committed"
) -> Iterator[Message]:
    """Yield what :func:`read_topic` returns, for topics that do not fit into memory."""
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap_servers,
            "group.id": "reader-of-tests",  # the reader joins no group
            "enable.auto.commit": False,
            "isolation.level": isolation_level,
            "enable.partition.eof": True,
            # By default a broker delays a fetch at the end of a partition by up to half a second.
            "fetch.wait.max.ms": 5,
            "queued.max.messages.kbytes": 16_384,
            "log_level": 3,
        }
    )
    try:
        found = consumer.list_topics(topic, timeout=_READ_TIMEOUT_S).topics[topic]
        unfinished = set(found.partitions)
        consumer.assign([TopicPartition(topic, it, OFFSET_BEGINNING) for it in unfinished])
        deadline = time.monotonic() + _READ_TIMEOUT_S
        while unfinished:
            assert time.monotonic() < deadline, f"{topic}: no end of {unfinished}"
            # Take all messages that are there; a consume with a timeout would wait until it has as
            # many as it was asked for.
            first = consumer.poll(0.2)
            for message in [] if first is None else [first, *consumer.consume(5_000, 0.0)]:
                deadline = time.monotonic() + _READ_TIMEOUT_S
                error = message.error()
                if error is None:
                    yield message
                elif error.code() == KafkaError._PARTITION_EOF:
                    unfinished.discard(message.partition() or 0)
                else:
                    raise KafkaException(error)
    finally:
        consumer.close()


@dataclass
class Account:
    """The outcomes of the records, by key.

    Attributes:
        missing: keys without any answer.
        duplicated: keys with more than one prediction or dead letter.
        both: keys with a prediction and a dead letter.
        altered: keys of dead letters whose bytes differ from the input's.
        unexpected: answered keys that were never sent.
        predictions: key → the prediction.
        dead_letters: key → the dead letter.
    """

    missing: set[bytes] = field(default_factory=set)
    duplicated: set[bytes] = field(default_factory=set)
    both: set[bytes] = field(default_factory=set)
    altered: set[bytes] = field(default_factory=set)
    unexpected: set[bytes] = field(default_factory=set)
    predictions: dict[bytes, Prediction] = field(default_factory=dict)
    dead_letters: dict[bytes, DeadLetter] = field(default_factory=dict)

    @property
    def faults(self) -> dict[str, int]:
        """Kind of fault → keys; empty where every record was answered exactly once."""
        kinds = ("missing", "duplicated", "both", "altered", "unexpected")
        return {kind: len(getattr(self, kind)) for kind in kinds if getattr(self, kind)}


def take_account(
    records: Sequence[Record], predictions: Sequence[Message], dead_letters: Sequence[Message]
) -> Account:
    """Compare what went in with what came out; every input key is unique."""
    values = dict(records)
    assert len(values) == len(records), "the keys of the input must be unique"
    account = Account()
    times: Counter[bytes] = Counter()
    for message in predictions:
        key = _key(message)
        times[key] += 1
        account.predictions[key] = Prediction.from_value(message.value() or b"", CUSTOMER)
    for message in dead_letters:
        key = _key(message)
        times[key] += 1
        letter = DeadLetter.from_message(key, message.value(), read_headers(message))
        account.dead_letters[key] = letter
        if key in values and letter.value != values[key]:
            account.altered.add(key)
    account.both = account.predictions.keys() & account.dead_letters.keys()
    account.duplicated = {key for key, count in times.items() if count > 1}
    account.missing = values.keys() - times.keys()
    account.unexpected = times.keys() - values.keys()
    return account


def read_headers(message: Message) -> list[tuple[str, bytes | None]]:
    """Return a message's headers; values are bytes, although the client's types allow text."""
    headers = message.headers()
    pairs = headers.items() if isinstance(headers, dict) else headers or ()
    return [(name, value.encode() if isinstance(value, str) else value) for name, value in pairs]


def _key(message: Message) -> bytes:
    key = message.key()
    assert isinstance(key, bytes)
    return key
