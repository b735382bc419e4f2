"""Checks brokers, topics and rights, with clients that change nothing."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from confluent_kafka.admin import AdminClient

from lib.errors import ScoringError
from lib.findings import Finding
from lib.kafka.admin import refuse_missing_topics
from lib.kafka.broker_settings import judge_retentions, judge_transaction_timeout
from lib.kafka.connection.connect import connect
from lib.kafka.rights import Right
from lib.kafka.topic_limits import judge_source
from lib.kafka.view import KafkaView, look_at_kafka
from lib.record.contract import Contract
from lib.settings.jobs.check import CheckSettings
from lib.stream.preflight import judge_kafka, list_own_rights, refuse_lacking_rights
from lib.tools.check.examination import Examination

_AFTER_CONNECTION = ("topics", "rights", "the brokers' settings", "positions", "clock")


def check_brokers(
    examination: Examination, settings: CheckSettings, contract: Contract | None
) -> AdminClient | None:
    """Check all that brokers tell.

    Args:
        examination: the findings.
        settings: the settings of the job.
        contract: the contract of the records; None if it is not known.

    Returns:
        A client of the cluster; None if no broker answers.
    """
    cluster = settings.cluster
    expected = f"brokers that answer at {cluster.bootstrap_servers}"
    examination.attempt("options of Kafka's clients", cluster.for_spark)
    admin = examination.attempt("brokers", lambda: connect(cluster), expected)
    if admin is None:
        examination.skip(_AFTER_CONNECTION, "no broker answers", "see brokers, and check again")
        return None
    view = examination.attempt("topics", lambda: look_at_kafka(admin, list_own_rights(settings)))
    if view is None:
        return None
    examination.note("brokers", ", ".join(map(str, view.brokers)), expected)
    _check_topics(examination, settings, view)
    _check_rights(examination, settings, view)
    examination.add(*judge_kafka(view, settings))
    outage_s = settings.expected_outage * 3600
    if settings.input_topic in view.topics:
        source = view.find_facts(settings.input_topic)
        largest = None if contract is None else contract.max_bytes
        examination.add(*judge_source(source, max_bytes=largest, outage_s=outage_s))
    if settings.delivery == "exactly-once" and view.broker_settings:
        # The settings are the same on all brokers.
        one = view.broker_settings[min(view.broker_settings)]
        examination.add(*judge_retentions(one, outage_s))
        examination.add(*judge_transaction_timeout(one, settings.transaction_timeout))
    return admin


def _check_topics(examination: Examination, settings: CheckSettings, view: KafkaView) -> None:
    names = (settings.input_topic, *settings.output_topics.values())
    for name in dict.fromkeys(names):
        if name in view.topics:
            examination.note(f"topic {name}", f"partitions: {view.partitions[name]}", "exists")
        elif name in view.missing:
            refuse = partial(refuse_missing_topics, settings.cluster, [name])
            examination.attempt(f"topic {name}", refuse, "exists")


def _check_rights(examination: Examination, settings: CheckSettings, view: KafkaView) -> None:
    cluster, unchecked = settings.cluster, view.unchecked
    for right in view.rights:
        # Java's client asks for the one to the transactional id.
        if right.kind == "transactional id" or right.name in view.missing:
            continue
        examination.add(_judge_right(right, cluster.principal, view.lacking, unchecked, settings))


def _judge_right(
    right: Right,
    principal: str,
    lacking: Sequence[Right],
    unchecked: Sequence[Right],
    settings: CheckSettings,
) -> Finding:
    """Say whether the user has a right; without an optional one something is not checked."""
    check = f"right: {right}"
    if right in unchecked:
        reason = f"{principal} lacks the right, which {right.purpose}"
        return Finding.unknown(check, reason, right.command(principal), "granted, optional")
    try:
        refuse_lacking_rights(settings.cluster, [right] if right in lacking else [])
    except ScoringError as error:
        return Finding.failed(check, error, "granted")
    return Finding.ok(check, "granted", "granted")
