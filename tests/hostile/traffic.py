"""Hostile records into a topic and their answers back, one after another."""

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
    """Send all records of an account, each to the partition and offset where it looks for it.

    Args:
        bootstrap_servers: of the broker.
        topic: new, with the account's number of partitions.
        account: says which records.
        on_sent: told now and then how many have been sent.

    Returns:
        bytes of all values.
    """
    failed: list[KafkaError] = []
    producer = Producer(
        {
            "bootstrap.servers": bootstrap_servers,
            "enable.idempotence": True,  # keeps their order, so that offsets are known
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
    """Read both topics as a read_committed reader does; hold each message against its record."""
    for message in iter_topic(bootstrap_servers, output_topic):
        account.add_prediction(_bytes(message.key()), _bytes(message.value()))
    for message in iter_topic(bootstrap_servers, dead_letter_topic):
        account.add_dead_letter(
            _bytes(message.key()), _bytes(message.value()), tuple(read_headers(message))
        )
    account.close()


def _bytes(content: bytes | str | None) -> bytes | None:
    """The client types contents as text too; it never gives any."""
    return content.encode() if isinstance(content, str) else content
