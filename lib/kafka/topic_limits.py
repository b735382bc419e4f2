"""Decides whether topics can hold the job's messages and keep its records. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf

from lib.findings import Finding, Severity

# The size of a dead letter's headers: its position, and all violations as text and as JSON.
HEADERS_ROOM_BYTES = 16 * 1024
# The size of what is around a record's value in a batch of its own: the batch's header, key and
# headers of usual length.
RECORD_ROOM_BYTES = 1024


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
    def retention_s(self) -> float | None:
        """The seconds for which the topic keeps a record; inf for no end, None if not known."""
        text = self.settings.get("retention.ms")
        if text is None:
            return None
        return inf if text == "-1" or self.cleanup == "compact" else int(text) / 1000

    @property
    def cleanup(self) -> str:
        """The cleanup policy; empty if it is not known."""
        return self.settings.get("cleanup.policy", "")

    @property
    def is_compacted(self) -> bool:
        """Whether the topic is known to keep only the last message of each key."""
        return "compact" in self.cleanup

    @property
    def min_insync_replicas(self) -> int | None:
        """The replicas that must have a message before it counts; None if not known."""
        text = self.settings.get("min.insync.replicas")
        return None if text is None else int(text)


def judge_topics(
    source: TopicFacts,
    predictions: TopicFacts,
    dead_letters: TopicFacts,
    *,
    brokers: int,
    is_envelope: bool = False,
    shadows: TopicFacts | None = None,
) -> list[Finding]:
    """Find messages that the output topics cannot hold, and tell what was compared.

    Args:
        source: the input topic.
        predictions: the output topic.
        dead_letters: the topic of records that cannot be scored.
        brokers: the number of brokers; a single one replicates nothing.
        is_envelope: whether a dead letter is JSON around the record, instead of its bytes.
        shadows: the topic of what shadows answer; None without shadows.
    """
    outputs = [predictions]
    if dead_letters.name != predictions.name:
        outputs.append(dead_letters)
    if shadows is not None:
        outputs.append(shadows)
    findings = [finding for topic in outputs for finding in _judge_replication(topic, brokers)]
    findings += [_judge_compaction(topic) for topic in outputs if topic.cleanup]
    if brokers == 1:
        names = ", ".join(topic.name for topic in outputs[:-1]) + f" and {outputs[-1].name}"
        findings.append(
            Finding(
                Severity.NOTE,
                "replication",
                "one broker",
                "three brokers, where data matter",
                f"topics {names} have one replica: the cluster has one broker, and what is on its"
                " disk is lost with it",
                "take a cluster of three brokers where that matters",
            )
        )
    findings += _judge_predictions(source, predictions, "stops the job")
    if shadows is not None:
        findings += _judge_predictions(source, shadows, "costs its batch what shadows answer")
    return findings + _judge_size(source, dead_letters, is_envelope)


def judge_source(source: TopicFacts, *, max_bytes: int | None, outage_s: float) -> list[Finding]:
    """Compare the input topic with the contract's largest record, and with the longest outage.

    Args:
        source: the input topic.
        max_bytes: the size of the largest record that the contract allows, in bytes; None if the
            contract is not known.
        outage_s: the longest time for which the job may stand still, in seconds.
    """
    findings = []
    room, name = source.max_message_bytes, f"topic {source.name}"
    if room is not None and max_bytes is not None:
        check, needed = f"{name}: max.message.bytes", max_bytes + RECORD_ROOM_BYTES
        expected = f"at least {needed}, for a record of the contract's max_bytes = {max_bytes}"
        findings.append(
            Finding.ok(check, room, expected)
            if room >= needed
            else Finding(
                *(Severity.WARNING, check, str(room), expected),
                f"{check} is {room}: brokers refuse records that the contract allows",
                _alter(source, "max.message.bytes", needed),
            )
        )
    keeps_s = source.retention_s
    if keeps_s is not None:
        check, hours = f"{name}: retention.ms", f"{outage_s / 3600:g} h"
        expected = f"more than {hours}, the expected outage"
        findings.append(
            Finding.ok(check, _spell_hours(keeps_s), expected)
            if keeps_s > outage_s
            else Finding(
                *(Severity.WARNING, check, _spell_hours(keeps_s), expected),
                f"{name} keeps records for {_spell_hours(keeps_s)}: those that a longer outage"
                " leaves unread are lost, and the next start is refused",
                _alter(source, "retention.ms", round(outage_s * 2000)),
            )
        )
    if source.is_compacted:
        findings.append(
            Finding(
                *(Severity.WARNING, f"{name}: cleanup.policy", source.cleanup, "delete"),
                f"{name} has cleanup.policy={source.cleanup}: a record goes unread if a newer one"
                " of its key comes before the job has read it",
                _alter(source, "cleanup.policy", "delete"),
            )
        )
    bound = source.settings.get("retention.bytes", "-1")
    if bound != "-1":
        check = f"{name}: retention.bytes"
        findings.append(
            Finding(
                *(Severity.WARNING, check, bound, "-1, so that time alone decides"),
                f"{name} keeps {bound} bytes of each partition: at a high rate records go sooner"
                " than retention.ms says",
                _alter(source, "retention.bytes", -1),
            )
        )
    return findings


def _judge_compaction(topic: TopicFacts) -> Finding:
    check, found = f"topic {topic.name}: cleanup.policy", topic.cleanup
    if not topic.is_compacted:
        return Finding.ok(check, found, "delete")
    return Finding(
        *(Severity.WARNING, check, found, "delete"),
        f"topic {topic.name} has cleanup.policy={found}: it keeps the last message of each key"
        " only, and refuses messages without a key, which end the job",
        _alter(topic, "cleanup.policy", "delete"),
    )


def _judge_replication(topic: TopicFacts, brokers: int) -> list[Finding]:
    replicas, in_sync, name = topic.replicas, topic.min_insync_replicas, f"topic {topic.name}"
    findings = []
    if in_sync is not None and replicas < in_sync:
        findings.append(
            Finding(
                *(Severity.ERROR, f"{name}: replicas", str(replicas)),
                f"at least its min.insync.replicas, {in_sync}",
                f"{name}: found {replicas} replica{'s' if replicas > 1 else ''}, "
                f"expected at least its min.insync.replicas, {in_sync}: nothing can be written",
                _alter(topic, "min.insync.replicas", max(1, replicas - 1)),
            )
        )
    if brokers == 1:
        return findings
    if replicas == 1:
        findings.append(
            Finding(
                *(Severity.WARNING, f"{name}: replicas", "1", "3"),
                f"{name} has one replica: when its broker dies, what it holds is gone"
                " and the job stands still",
                "give it three with kafka-reassign-partitions.sh, and min.insync.replicas=2",
            )
        )
    elif in_sync == 1:
        findings.append(
            Finding(
                *(Severity.WARNING, f"{name}: min.insync.replicas", "1", "2"),
                f"{name} has min.insync.replicas=1: a broker that dies can take the"
                " last committed messages with it",
                _alter(topic, "min.insync.replicas", 2),
            )
        )
    elif not findings:
        found = replicas if in_sync is None else f"{replicas}, min.insync.replicas={in_sync}"
        findings.append(
            Finding.ok(f"{name}: replicas", found, "3, with min.insync.replicas=2 of them")
        )
    setting = "unclean.leader.election.enable"
    if topic.settings.get(setting) == "true":
        findings.append(
            Finding(
                *(Severity.WARNING, f"{name}: {setting}", "true", "false"),
                f"{name} has unclean.leader.election.enable=true: when its in-sync"
                " replicas die, one that lacks committed messages takes over and they are gone",
                _alter(topic, setting, "false"),
            )
        )
    return findings


def _judge_predictions(
    source: TopicFacts, predictions: TopicFacts, consequence: str
) -> list[Finding]:
    """Find records whose key and headers are too large for a topic of predictions."""
    largest, room = source.max_message_bytes, predictions.max_message_bytes
    if largest is None or room is None:
        return []
    why = (
        f", but topic {source.name} takes {largest}: a prediction has the record's key and the"
        f" headers of its trace, and one that does not fit {consequence}"
    )
    expected = f"at least {largest}, as topic {source.name} has"
    return [_judge_room(predictions, room, largest, expected, Severity.NOTE, why)]


def _judge_size(source: TopicFacts, dead_letters: TopicFacts, is_envelope: bool) -> list[Finding]:
    largest, room = source.max_message_bytes, dead_letters.max_message_bytes
    if largest is None or room is None:
        return []
    # Bytes that are no UTF-8 are base64 in the envelope: four characters for three bytes.
    needed = (-(-largest // 3) * 4 if is_envelope else largest) + HEADERS_ROOM_BYTES
    why = (
        f", but a dead letter of topic {source.name} can have {needed} ({source.name} takes"
        f" {largest}): one that does not fit stops the job"
    )
    expected = f"at least {needed}, for a dead letter of a record of {largest} bytes"
    return [_judge_room(dead_letters, room, needed, expected, Severity.WARNING, why)]


def _judge_room(
    topic: TopicFacts, room: int, needed: int, expected: str, severity: Severity, why: str
) -> Finding:
    """Judge whether a topic takes messages of a size; ``why`` goes on after the limit's value."""
    check = f"topic {topic.name}: max.message.bytes"
    if room >= needed:
        return Finding.ok(check, room, expected)
    problem = f"topic {topic.name}: max.message.bytes is {room}{why}"
    return Finding(
        severity, check, str(room), expected, problem, _alter(topic, "max.message.bytes", needed)
    )


def _spell_hours(seconds: float) -> str:
    return "without an end" if seconds == inf else f"{seconds / 3600:g} h"


def _alter(topic: TopicFacts, setting: str, value: object) -> str:
    return (
        f"kafka-configs.sh --alter --entity-type topics --entity-name {topic.name}"
        f" --add-config {setting}={value}"
    )
