"""Checks the job's rights and topics in Kafka before Spark is started."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from enum import Enum

from confluent_kafka import KafkaError, KafkaException, TopicCollection
from confluent_kafka.admin import (
    AdminClient,
    ConfigEntry,
    ConfigResource,
    ResourceType,
    TopicDescription,
)

from lib.errors import KafkaSetupError
from lib.kafka.admin import (
    ANSWER_TIMEOUT_S,
    list_brokers,
    list_partitions,
    refuse_missing_topics,
)
from lib.kafka.broker_version import warn_of_old_brokers
from lib.kafka.cluster import Cluster
from lib.kafka.connection.connect import connect
from lib.kafka.partitions import parse_partitions
from lib.kafka.retry import ask_until_answered
from lib.kafka.rights import Right, list_rights
from lib.kafka.topic_limits import Finding, Severity, TopicFacts, judge_topics
from lib.settings.jobs.score_stream import ScoreStreamSettings

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class KafkaFacts:
    """The facts about the cluster that the checks have found.

    Attributes:
        brokers: the ids of the brokers.
        partitions: topic → number of its partitions.
    """

    brokers: Sequence[int]
    partitions: Mapping[str, int]


def check_kafka(settings: ScoreStreamSettings) -> KafkaFacts:
    """Make sure that the job can sign in, has its rights, and that its topics take its messages.

    Findings that do not stop the job are logged. Brokers do not tell the right to the transactional
    id: the sink's first step shows it.

    Raises:
        SettingsError: one of the two families of clients does not take the options.
        KafkaSetupError: the job would fail; the error names everything that is missing, and the
            commands to change it.
    """
    settings.cluster.for_spark()
    admin = connect(settings.cluster)
    rights = list_rights(
        input_topic=settings.input_topic,
        output_topic=settings.output_topic,
        dead_letter_topic=settings.dead_letter_topic,
        query_name=settings.query_name,
        delivery=settings.delivery,
        executors_commit=settings.commit == "executor",
    )
    topics = check_rights(admin, settings.cluster, rights)
    brokers = list_brokers(admin)
    hidden, findings = check_limits(admin, settings, topics, brokers=len(brokers))
    report_findings(findings)
    tells_settings = warn_of_old_brokers(admin, brokers)
    unchecked = [right for right in rights if right.name in hidden and right.is_optional]
    if not tells_settings:
        unchecked += [right for right in rights if right.kind == "cluster"]
    _report_unchecked(unchecked, settings.cluster.principal)
    return KafkaFacts(brokers, {name: len(it.partitions) for name, it in topics.items()})


def count_partitions(settings: ScoreStreamSettings) -> int:
    """Count the partitions of the input topic that the job reads.

    Raises:
        KafkaSetupError: the brokers do not tell.
    """
    chosen = parse_partitions(settings.partitions)
    if chosen is not None:
        return len(chosen)
    topic = settings.input_topic
    admin = connect(settings.cluster)
    try:
        return len(list_partitions(admin, topic))
    except KafkaException as error:
        raise KafkaSetupError(f"topic {topic}: {error.args[0].str()}") from error


def check_rights(
    admin: AdminClient, cluster: Cluster, rights: Sequence[Right]
) -> dict[str, TopicDescription]:
    """Make sure that the topics exist and that the user has its rights on topics and group.

    Args:
        admin: a client of the job's user.
        cluster: the cluster of the client, for messages.
        rights: the rights that the job needs; see ``lib.kafka.rights``.

    Returns:
        Topic → description.

    Raises:
        KafkaSetupError: topics or rights are missing; the error names each, and the command for it.
    """
    names = dict.fromkeys(right.name for right in rights if right.kind == "topic")
    topics, allowed, missing = _describe_topics(admin, names)
    refuse_missing_topics(cluster, missing)
    lacking = []
    for right in rights:
        if right.kind == "transactional id" or right.is_optional:
            continue
        if right.kind == "topic":
            operations = allowed[right.name]
        else:
            operations = _describe_group(admin, right.name)
        if operations is not None and right.operation not in operations:
            lacking.append(right)
    if lacking:
        raise KafkaSetupError(
            f"{cluster.principal} lacks {', '.join(map(str, lacking))}"
            f" at {cluster.bootstrap_servers}",
            hint=" && ".join(right.command(cluster.principal) for right in lacking),
        )
    return topics


def check_limits(
    admin: AdminClient,
    settings: ScoreStreamSettings,
    topics: dict[str, TopicDescription],
    *,
    brokers: int,
) -> tuple[list[str], list[Finding]]:
    """Compare the topics' settings with the job's needs; see ``lib.kafka.topic_limits``.

    Returns:
        The topics whose settings the user has no right to see, and the findings about the others.
    """
    names = [settings.input_topic, settings.output_topic, settings.dead_letter_topic]
    values = _read_settings(admin, names)
    hidden = [name for name in dict.fromkeys(names) if not values[name]]
    facts = {
        name: TopicFacts(
            name,
            min(len(partition.replicas) for partition in topics[name].partitions),
            values[name],
        )
        for name in names
    }
    findings = judge_topics(
        *(facts[name] for name in names),
        brokers=brokers,
        is_envelope=settings.dead_letter_format == "envelope",
    )
    return hidden, findings


def _report_unchecked(lacking: Sequence[Right], principal: str) -> None:
    """Log a line about what the start did not check, because the user has no right to ask."""
    if not lacking:
        return
    topics = ", ".join(f"topic {right.name}" for right in lacking if right.kind == "topic")
    what = [f"the limits of {topics}"] if topics else []
    if any(right.kind == "cluster" for right in lacking):
        what.append("the brokers' version and for how long they keep offsets")
    logger.warning(
        "%s are not checked: %s lacks DESCRIBE_CONFIGS (%s)",
        *(", and ".join(what), principal),
        " && ".join(right.command(principal) for right in lacking),
    )


def report_findings(findings: Sequence[Finding]) -> None:
    """Log findings that do not stop the job, and raise an error for one that does.

    Raises:
        KafkaSetupError: nothing could be written to a topic.
    """
    for finding in findings:
        if finding.severity is not Severity.ERROR:
            is_warning = finding.severity is Severity.WARNING
            level = logging.WARNING if is_warning else logging.INFO
            logger.log(level, "%s (%s)", finding.text, finding.hint)
    for finding in findings:
        if finding.severity is Severity.ERROR:
            raise KafkaSetupError(finding.text, hint=finding.hint)


def _describe_topics(
    admin: AdminClient, names: Iterable[str]
) -> tuple[dict[str, TopicDescription], dict[str, frozenset[str] | None], list[str]]:
    """Read (topic → description, topic → operations or None if unknown, missing topics)."""
    topics: dict[str, TopicDescription] = {}
    allowed: dict[str, frozenset[str] | None] = {}
    missing = []
    answers = admin.describe_topics(
        TopicCollection(list(names)),
        include_authorized_operations=True,
        request_timeout=ANSWER_TIMEOUT_S,
    )
    for name, answer in answers.items():
        try:
            topics[name] = answer.result()
            allowed[name] = _spell(topics[name].authorized_operations)
        except KafkaException as error:
            # A user from whom a topic is hidden cannot find out whether it exists.
            if error.args[0].code() == KafkaError.TOPIC_AUTHORIZATION_FAILED:
                allowed[name] = frozenset()
            elif error.args[0].code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
                missing.append(name)
            else:
                raise KafkaSetupError(f"topic {name}: {error.args[0].str()}") from error
    return topics, allowed, missing


def _describe_group(admin: AdminClient, name: str) -> frozenset[str] | None:
    """Read the operations that the user has on a group; None if the brokers do not tell."""

    def ask() -> frozenset[str] | None:
        (answer,) = admin.describe_consumer_groups(
            [name], include_authorized_operations=True, request_timeout=ANSWER_TIMEOUT_S
        ).values()
        return _spell(answer.result().authorized_operations)

    try:
        # The first question about a group makes a new cluster create the topic of groups.
        return ask_until_answered(
            ask,
            lambda error: error.code() == KafkaError.COORDINATOR_NOT_AVAILABLE,
            ANSWER_TIMEOUT_S,
        )
    except KafkaException as error:
        if error.args[0].code() == KafkaError.GROUP_AUTHORIZATION_FAILED:
            return frozenset()
        # This looks at rights only. The sink meets whatever else is wrong, and reports it.
        logger.info("group %s not described error=%s", name, error.args[0].name())
        return None


def _spell(operations: Iterable[Enum] | None) -> frozenset[str] | None:
    return None if operations is None else frozenset(it.name for it in operations)


def _read_settings(admin: AdminClient, names: Iterable[str]) -> dict[str, dict[str, str]]:
    """Read topic → its settings; empty if the user has no right or the brokers do not tell."""
    resources = [ConfigResource(ResourceType.TOPIC, name) for name in dict.fromkeys(names)]
    answers: dict[ConfigResource, Future[dict[str, ConfigEntry]]] = admin.describe_configs(
        resources, request_timeout=ANSWER_TIMEOUT_S
    )
    found: dict[str, dict[str, str]] = {}
    for resource, answer in answers.items():
        try:
            entries = answer.result()
        except KafkaException:
            found[resource.name] = {}
        else:
            found[resource.name] = {
                key: entry.value for key, entry in entries.items() if entry.value is not None
            }
    return found
