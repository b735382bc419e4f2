"""Write hostile records to a topic, and read the answers back one after another."""

from __future__ import annotations

from collections.abc import Callable

from confluent_kafka import (
    KafkaError,
    Producer,
)

from tests.hostile.account import HostileAccount
from tests.hostile.records import build_record
from tests.support.topics import iter_topic, read_headers

_TIMEOUT_S = 60.0
_MAX_QUEUED = 20_000
_CHUNK = 2_000


def send_hostile(
    bootstrap_servers: str,
    topic: str,
    account: HostileAccount,
    on_sent: Callable[[int], None] = lambda sent: None,
) -> int:
    """Send all records of an account, each to the partition and offset that the account expects.

    Args:
        bootstrap_servers: address of the broker.
        topic: new topic with the account's number of partitions.
        account: account, which says which records to send.
        on_sent: function that gets the number of sent records now and then.

    Returns:
        Size of all values in bytes.
    """
    failed: list[KafkaError] = []
    producer = Producer(
        {
            "bootstrap.servers": bootstrap_servers,
            # This keeps the order of records, so that offsets are known.
            "enable.idempotence": True,
            "message.max.bytes": 2_000_000,
            "linger.ms": 20,
            "compression.type": "lz4",
            "delivery.report.only.error": True,
            "on_delivery": lambda error, message: failed.append(error),
            "log_level": 3,
        }
    )
    size = 0
    for sent, number in enumerate(account.numbers):
        record = build_record(account.seed, number)
        producer.produce(
            topic,
            partition=sent % account.partitions,
            key=record.key,
            value=record.value,
            headers=list(record.headers),
        )
        size += len(record.value or b"")
        if sent % _CHUNK == 0:
            producer.poll(0)
            on_sent(sent)
        if len(producer) > _MAX_QUEUED:
            producer.flush(_TIMEOUT_S)
    assert producer.flush(_TIMEOUT_S) == 0
    assert not failed, failed[0]
    return size


def read_answers(
    bootstrap_servers: str, output_topic: str, dead_letter_topic: str, account: HostileAccount
) -> None:
    """Read both topics with read_committed, and compare each message with its record."""
    for message in iter_topic(bootstrap_servers, output_topic):
        account.add_prediction(
            _bytes(message.key()), _bytes(message.value()), tuple(read_headers(message))
        )
    for message in iter_topic(bootstrap_servers, dead_letter_topic):
        account.add_dead_letter(
            _bytes(message.key()), _bytes(message.value()), tuple(read_headers(message))
        )
    account.close()


def _bytes(content: bytes | str | None) -> bytes | None:
    """Return contents as bytes, which they always are, although the client's types allow text."""
    return content.encode() if isinstance(content, str) else content
