"""Do what other tools do to a consumer group.

The client library's admin client does most of the work; it cannot delete the offsets of single
partitions, so that request of the protocol is written out here.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterable

from confluent_kafka import ConsumerGroupTopicPartitions, TopicPartition

from lib.kafka.admin import build_admin
from lib.kafka.cluster import Cluster

_TIMEOUT_S = 30.0
_OFFSET_DELETE = 47


def read_group(servers: str, group: str) -> dict[tuple[str, int], int]:
    """Return (topic, partition) → the group's offset, where it has one."""
    return {(it.topic, it.partition): it.offset for it in list_positions(servers, group)}


def list_positions(servers: str, group: str) -> list[TopicPartition]:
    """Return the group's offsets and their metadata, for each partition where it has one."""
    admin = build_admin(Cluster(servers))
    answers = admin.list_consumer_group_offsets(
        [ConsumerGroupTopicPartitions(group)], request_timeout=_TIMEOUT_S
    )
    found = answers[group].result().topic_partitions or ()
    return [it for it in found if it.offset >= 0]


def delete_group(servers: str, group: str) -> None:
    """Delete a group and all of its offsets, as ``--delete`` does, or Kafka when they expire."""
    admin = build_admin(Cluster(servers))
    admin.delete_consumer_groups([group], request_timeout=_TIMEOUT_S)[group].result()


def delete_offsets(servers: str, group: str, topic: str, partitions: Iterable[int]) -> None:
    """Delete a group's offsets of some partitions, as ``--delete-offsets`` does, or expiry."""
    numbers = list(partitions)
    body = b"".join(
        [
            struct.pack(">hhi", _OFFSET_DELETE, 0, 1) + _text("tests"),
            _text(group) + struct.pack(">i", 1),
            _text(topic) + struct.pack(">i", len(numbers)),
            *(struct.pack(">i", number) for number in numbers),
        ]
    )
    host, _, port = _find_coordinator(servers, group).rpartition(":")
    with socket.create_connection((host, int(port)), _TIMEOUT_S) as connection:
        connection.sendall(struct.pack(">i", len(body)) + body)
        with connection.makefile("rb") as answer:
            (length,) = struct.unpack(">i", answer.read(4))
            content = answer.read(length)
    # The response has a correlation id, the group's error, the throttle time, and the topics with
    # an error for each partition.
    (error,) = struct.unpack_from(">h", content, 4)
    assert error == 0, f"offsets of {group} not deleted: error {error}"
    size = struct.calcsize(">ih")
    for number, start in enumerate(range(len(content) - size * len(numbers), len(content), size)):
        partition, error = struct.unpack_from(">ih", content, start)
        assert (partition, error) == (numbers[number], 0), f"{topic}[{partition}]: error {error}"


def _find_coordinator(servers: str, group: str) -> str:
    admin = build_admin(Cluster(servers))
    answers = admin.describe_consumer_groups([group], request_timeout=_TIMEOUT_S)
    node = answers[group].result().coordinator
    return f"{node.host}:{node.port}"


def _text(value: str) -> bytes:
    return struct.pack(">h", len(value)) + value.encode()
