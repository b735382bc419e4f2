"""Checks the job's rights and topics in Kafka before Spark is started."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from confluent_kafka import KafkaException

from lib.errors import KafkaSetupError
from lib.findings import Finding, Severity, list_troubles
from lib.kafka.admin import list_partitions, refuse_missing_topics
from lib.kafka.broker_settings import find_versions, judge_versions
from lib.kafka.cluster import Cluster
from lib.kafka.connection.connect import connect
from lib.kafka.partitions import parse_partitions
from lib.kafka.rights import Right, list_rights
from lib.kafka.topic_limits import judge_topics
from lib.kafka.view import KafkaView, look_at_kafka
from lib.settings.jobs.score_stream import ScoreStreamSettings

logger = logging.getLogger(__name__)


def check_kafka(settings: ScoreStreamSettings) -> KafkaView:
    """Make sure that the job can sign in, has its rights, and that its topics take its messages.

    Findings that do not stop the job are logged. Brokers do not tell the right to the transactional
    id: the sink's first step shows it.

    Raises:
        SettingsError: one of the two families of clients does not take the options.
        KafkaSetupError: the job would fail; the error names everything that is missing, and the
            commands to change it.
    """
    settings.cluster.for_spark()
    view = look_at_kafka(connect(settings.cluster), list_own_rights(settings))
    refuse_missing_topics(settings.cluster, view.missing)
    refuse_lacking_rights(settings.cluster, view.lacking)
    report_findings(judge_kafka(view, settings))
    _report_unchecked(view.unchecked, settings.cluster.principal)
    return view


def list_own_rights(settings: ScoreStreamSettings) -> tuple[Right, ...]:
    """List the rights that the job needs with these settings."""
    return list_rights(
        input_topic=settings.input_topic,
        output_topic=settings.output_topic,
        dead_letter_topic=settings.dead_letter_topic,
        query_name=settings.query_name,
        shadow_topic=settings.shadow_topic if settings.shadow else "",
        delivery=settings.delivery,
        executors_commit=settings.commit == "executor",
    )


def judge_kafka(view: KafkaView, settings: ScoreStreamSettings) -> list[Finding]:
    """Compare the topics' settings and the brokers' versions with the job's needs."""
    findings = []
    source, outputs = settings.input_topic, settings.output_topics.values()
    if view.topics.keys() >= {source, *outputs}:
        predictions, letters, *shadows = map(view.find_facts, outputs)
        findings += judge_topics(
            view.find_facts(source),
            predictions,
            letters,
            brokers=len(view.brokers),
            is_envelope=settings.dead_letter_format == "envelope",
            shadows=shadows[0] if shadows else None,
        )
    if view.broker_settings:
        findings.append(judge_versions(find_versions(view.broker_settings)))
    return findings


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


def refuse_lacking_rights(cluster: Cluster, lacking: Sequence[Right]) -> None:
    """Raise KafkaSetupError if rights are lacking; it names each, and the command for it."""
    if lacking:
        raise KafkaSetupError(
            f"{cluster.principal} lacks {', '.join(map(str, lacking))}"
            f" at {cluster.bootstrap_servers}",
            hint=" && ".join(right.command(cluster.principal) for right in lacking),
        )


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
    troubles = list_troubles(findings)
    for finding in troubles:
        if finding.severity is not Severity.ERROR:
            is_warning = finding.severity is Severity.WARNING
            level = logging.WARNING if is_warning else logging.INFO
            logger.log(level, "%s (%s)", finding.text, finding.hint)
    for finding in troubles:
        if finding.severity is Severity.ERROR:
            raise KafkaSetupError(finding.text, hint=finding.hint)
