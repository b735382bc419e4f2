"""Do what ``kafka-consumer-groups.sh`` does, as the documents use it.

Kafka's own program is in none of the fetched jars. The commands are taken word for word. The client
library's admin client does most of the work; it cannot delete the offsets of single partitions, so
that request of the protocol is written out here.
"""

from __future__ import annotations

import argparse
import csv
import shlex
import socket
import struct
from collections.abc import Iterable, Mapping
from pathlib import Path

from confluent_kafka import ConsumerGroupTopicPartitions, TopicPartition

from lib.kafka.admin import build_admin, list_partitions, read_offsets
from lib.kafka.cluster import Cluster

_TIMEOUT_S = 30.0
_OFFSET_DELETE = 47


def run_consumer_groups(command: str) -> str:
    """Execute a command line.

    Args:
        command: command line, beginning with the program's name.

    Returns:
        The printed text: a line ``topic,partition,offset`` for each position that was set or shown.
    """
    program, *words = shlex.split(command)
    assert program in ("kafka-consumer-groups", "kafka-consumer-groups.sh"), command
    given = _parse(words)
    if given.delete:
        delete_group(given.bootstrap_server, given.group)
        return ""
    if given.delete_offsets:
        for topic, partitions in _choose(given.bootstrap_server, given.topic).items():
            delete_offsets(given.bootstrap_server, given.group, topic, partitions)
        return ""
    if given.describe:
        return _print(read_group(given.bootstrap_server, given.group))
    assert given.reset_offsets, command
    assert given.execute != given.dry_run, command
    positions = _find_positions(given)
    if given.execute:
        set_offsets(given.bootstrap_server, given.group, positions)
    return _print(positions)


def _parse(words: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(exit_on_error=False)
    parser.add_argument("--bootstrap-server", required=True)
    parser.add_argument("--group", required=True)
    parser.add_argument("--topic", action="append", default=[])
    parser.add_argument("--to-offset", type=int)
    parser.add_argument("--from-file", type=Path)
    for flag in ("delete", "delete-offsets", "describe", "reset-offsets", "execute", "dry-run"):
        parser.add_argument(f"--{flag}", action="store_true")
    for flag in ("to-earliest", "to-latest", "to-current", "export"):
        parser.add_argument(f"--{flag}", action="store_true")
    return parser.parse_args(words)


def _choose(servers: str, topics: Iterable[str]) -> dict[str, list[int]]:
    """Return topic → partitions for arguments like ``topic`` or ``topic:0,2``."""
    admin, chosen = build_admin(Cluster(servers)), {}
    for text in topics:
        topic, _, numbers = text.partition(":")
        named = [int(number) for number in numbers.split(",") if number]
        chosen[topic] = named or list_partitions(admin, topic)
    return chosen


def _find_positions(given: argparse.Namespace) -> dict[tuple[str, int], int]:
    if given.from_file is not None:
        rows = list(csv.reader(given.from_file.read_text().splitlines()))
        return {(topic, int(partition)): int(offset) for topic, partition, offset in rows}
    admin = build_admin(Cluster(given.bootstrap_server))
    found = {}
    for topic, partitions in _choose(given.bootstrap_server, given.topic).items():
        earliest, latest = (read_offsets(admin, topic, end) for end in ("earliest", "latest"))
        current = read_group(given.bootstrap_server, given.group) if given.to_current else {}
        for it in partitions:
            if given.to_offset is not None:
                offset = min(max(given.to_offset, earliest[it]), latest[it])
            elif given.to_current:
                offset = current.get((topic, it), latest[it])
            else:
                assert given.to_earliest != given.to_latest
                offset = (earliest if given.to_earliest else latest)[it]
            found[topic, it] = offset
    return found


def _print(positions: Mapping[tuple[str, int], int]) -> str:
    return "".join(f"{topic},{it},{at}\n" for (topic, it), at in sorted(positions.items()))


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


def set_offsets(servers: str, group: str, positions: Mapping[tuple[str, int], int]) -> None:
    """Commit offsets for a group without members, as ``--reset-offsets --execute`` does."""
    moved = [TopicPartition(topic, it, at) for (topic, it), at in positions.items()]
    admin = build_admin(Cluster(servers))
    answers = admin.alter_consumer_group_offsets(
        [ConsumerGroupTopicPartitions(group, moved)], request_timeout=_TIMEOUT_S
    )
    for it in answers[group].result().topic_partitions:
        assert it.error is None, it.error


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
