"""Decides whether topics can hold the job's messages, before anything is written. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, auto

# The size of a dead letter's headers: its position, and all violations as text and as JSON.
HEADERS_ROOM_BYTES = 16 * 1024


class Severity(Enum):
    """The effect of a finding on the start."""

    NOTE = auto()  # the start goes on without a warning
    WARNING = auto()  # messages may be lost
    ERROR = auto()  # the start is refused: nothing can be written


@dataclass(frozen=True)
class Finding:
    """A fault of a topic: what is wrong, what is lost by it, and how to change it."""

    severity: Severity
    text: str
    hint: str


@dataclass(frozen=True)
class TopicFacts:
    """The facts about a topic.

    Attributes:
        name: the name of the topic.
        replicas: the number of replicas of the partition with the fewest.
        settings: all settings in effect; empty if the user has no right to see them.
    """

    name: str
    replicas: int
    settings: Mapping[str, str] = field(default_factory=dict)

    @property
    def max_message_bytes(self) -> int | None:
        """The largest batch of messages that the topic takes; None if it is not known."""
        text = self.settings.get("max.message.bytes")
        return None if text is None else int(text)

    @property
    def is_compacted(self) -> bool:
        """Whether the topic is known to keep only the last message of each key."""
        return "compact" in self.settings.get("cleanup.policy", "")

    @property
    def min_insync_replicas(self) -> int | None:
        """The replicas that must have a message before it counts; None if not known."""
        text = self.settings.get("min.insync.replicas")
        return None if text is None else int(text)


def _find_compaction(topic: TopicFacts) -> Finding:
    return Finding(
        Severity.WARNING,
        f"topic {topic.name} has cleanup.policy={topic.settings['cleanup.policy']}: it keeps the"
        " last message of each key only, and refuses messages without a key, which end the job",
        _alter(topic, "cleanup.policy", "delete"),
    )


def judge_topics(
    source: TopicFacts,
    predictions: TopicFacts,
    dead_letters: TopicFacts,
    *,
    brokers: int,
    is_envelope: bool = False,
) -> list[Finding]:
    """Find messages that the output topics cannot hold.

    Args:
        source: the input topic.
        predictions: the output topic.
        dead_letters: the topic of records that cannot be scored.
        brokers: the number of brokers; a single one replicates nothing.
        is_envelope: whether a dead letter is JSON around the record, instead of its bytes.
    """
    outputs = [predictions]
    if dead_letters.name != predictions.name:
        outputs.append(dead_letters)
    findings = [finding for topic in outputs for finding in _judge_replication(topic, brokers)]
    findings += [_find_compaction(topic) for topic in outputs if topic.is_compacted]
    if brokers == 1:
        names = " and ".join(topic.name for topic in outputs)
        findings.append(
            Finding(
                Severity.NOTE,
                f"topics {names} have one replica: the cluster has one broker, and what is on its"
                " disk is lost with it",
                "take a cluster of three brokers where that matters",
            )
        )
    return findings + _judge_size(source, dead_letters, is_envelope)


def _judge_replication(topic: TopicFacts, brokers: int) -> list[Finding]:
    replicas, in_sync = topic.replicas, topic.min_insync_replicas
    findings = []
    if in_sync is not None and replicas < in_sync:
        findings.append(
            Finding(
                Severity.ERROR,
                f"topic {topic.name}: found {replicas} replica{'s' if replicas > 1 else ''}, "
                f"expected at least its min.insync.replicas, {in_sync}: nothing can be written",
                _alter(topic, "min.insync.replicas", max(1, replicas - 1)),
            )
        )
    if brokers == 1:
        return findings
    if replicas == 1:
        findings.append(
            Finding(
                Severity.WARNING,
                f"topic {topic.name} has one replica: when its broker dies, what it holds is gone"
                " and the job stands still",
                "give it three with kafka-reassign-partitions.sh, and min.insync.replicas=2",
            )
        )
    elif in_sync == 1:
        findings.append(
            Finding(
                Severity.WARNING,
                f"topic {topic.name} has min.insync.replicas=1: a broker that dies can take the"
                " last committed messages with it",
                _alter(topic, "min.insync.replicas", 2),
            )
        )
    if topic.settings.get("unclean.leader.election.enable") == "true":
        findings.append(
            Finding(
                Severity.WARNING,
                f"topic {topic.name} has unclean.leader.election.enable=true: when its in-sync"
                " replicas die, one that lacks committed messages takes over and they are gone",
                _alter(topic, "unclean.leader.election.enable", "false"),
            )
        )
    return findings


def _judge_size(source: TopicFacts, dead_letters: TopicFacts, is_envelope: bool) -> list[Finding]:
    largest, room = source.max_message_bytes, dead_letters.max_message_bytes
    if largest is None or room is None:
        return []
    # Bytes that are no UTF-8 are base64 in the envelope: four characters for three bytes.
    needed = (-(-largest // 3) * 4 if is_envelope else largest) + HEADERS_ROOM_BYTES
    if room >= needed:
        return []
    return [
        Finding(
            Severity.WARNING,
            f"topic {dead_letters.name}: max.message.bytes is {room}, but a dead letter of topic"
            f" {source.name} can have {needed} ({source.name} takes {largest}): one that does not"
            " fit stops the job",
            _alter(dead_letters, "max.message.bytes", needed),
        )
    ]


def _alter(topic: TopicFacts, setting: str, value: object) -> str:
    return (
        f"kafka-configs.sh --alter --entity-type topics --entity-name {topic.name}"
        f" --add-config {setting}={value}"
    )
