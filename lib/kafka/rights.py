"""The rights that the job's user needs in Kafka, for checks, errors and documents."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

ResourceKind = Literal["topic", "group", "transactional id", "cluster"]

# The kind of a resource → its option of kafka-acls.sh.
_FLAGS: Mapping[ResourceKind, str] = {
    "topic": "--topic",
    "group": "--group",
    "transactional id": "--transactional-id",
    "cluster": "--cluster",
}
#: The name that Kafka gives every cluster in rights.
CLUSTER = "kafka-cluster"


@dataclass(frozen=True)
class Right:
    """The right to one operation on one resource. READ and WRITE include DESCRIBE.

    Attributes:
        operation: Kafka's name of the operation.
        kind: the kind of the resource.
        name: the name of the resource.
        purpose: the use that the job has for it.
        is_prefix: whether the right is for all resources whose names begin with the name.
        is_optional: whether the job runs without the right, with fewer checks.
    """

    operation: Literal["READ", "WRITE", "DESCRIBE", "DESCRIBE_CONFIGS"]
    kind: ResourceKind
    name: str
    purpose: str
    is_prefix: bool = False
    is_optional: bool = False

    def __str__(self) -> str:
        return f"{self.operation} on {self.kind} {self.name}{'*' if self.is_prefix else ''}"

    def command(self, principal: str) -> str:
        """Write the command that grants the right with Kafka's own tool.

        Args:
            principal: the user, such as ``User:scoring``.
        """
        words = ["kafka-acls.sh", "--add", "--allow-principal", principal]
        words += ["--operation", self.operation, _FLAGS[self.kind]]
        if self.kind != "cluster":  # a command always means the one that it connects to
            words.append(self.name)
        if self.is_prefix:
            words += ["--resource-pattern-type", "prefixed"]
        return shlex.join(words)


def list_rights(
    *,
    input_topic: str,
    output_topic: str,
    dead_letter_topic: str,
    query_name: str,
    shadow_topic: str = "",
    delivery: Literal["exactly-once", "at-least-once"] = "exactly-once",
    executors_commit: bool = False,
) -> tuple[Right, ...]:
    """List all rights that the job's user needs, and no others.

    Args:
        input_topic: the topic that is scored.
        output_topic: the topic of predictions.
        dead_letter_topic: the topic of records that cannot be scored.
        query_name: the consumer group and transactional id.
        shadow_topic: the topic of what shadows answer; empty without shadows.
        delivery: the delivery; at least once needs neither group nor transactional id.
        executors_commit: whether executors commit, with a transactional id for each partition.
    """
    rights = [
        Right("READ", "topic", input_topic, "reads the records"),
        Right("WRITE", "topic", output_topic, "writes the predictions"),
        Right("WRITE", "topic", dead_letter_topic, "writes the dead letters"),
    ]
    if shadow_topic:
        rights.append(Right("WRITE", "topic", shadow_topic, "writes what shadows answer"))
    if delivery == "exactly-once":
        rights += [
            Right("READ", "group", query_name, "commits what has been answered"),
            Right("WRITE", "transactional id", query_name, "writes in transactions"),
        ]
        if executors_commit:
            rights.append(
                Right(
                    *("WRITE", "transactional id", f"{query_name}:"),
                    "the executors write in transactions",
                    is_prefix=True,
                )
            )
    topics = dict.fromkeys(
        filter(None, (input_topic, output_topic, dead_letter_topic, shadow_topic))
    )
    rights += [
        Right("DESCRIBE_CONFIGS", "topic", topic, "checks the topic's limits", is_optional=True)
        for topic in topics
    ]
    rights.append(
        Right(
            *("DESCRIBE_CONFIGS", "cluster", CLUSTER),
            "checks the brokers' version, and how long they keep offsets",
            is_optional=True,
        )
    )
    return tuple(rights)
