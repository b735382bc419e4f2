"""Each missing right is one line before Spark starts, with the command that grants it."""

from __future__ import annotations

import logging
from dataclasses import replace

import pytest
from pyspark.sql import SparkSession

from lib.errors import KafkaSetupError, SinkRejectedError
from lib.exactly_once.commit.partition_writers import settings_of_partition
from lib.exactly_once.transaction.settings import TransactionSettings
from lib.exactly_once.transaction.writer import TransactionalWriter
from lib.kafka.cluster import Cluster
from lib.kafka.rights import CLUSTER, Right
from lib.kafka.topics import create_topics
from lib.settings.jobs.check import CheckSettings
from lib.settings.jobs.score_stream import ScoreStreamSettings
from lib.stream.preflight import check_kafka, list_own_rights
from lib.tools.check.brokers import check_brokers
from lib.tools.check.examination import Examination
from lib.tools.check.java_client import check_by_java
from tests.end_to_end.jobs import Deployment
from tests.security.cluster import SecureBroker, User, grant, rights_of

pytestmark = pytest.mark.broker


def build_settings(
    broker: SecureBroker, deployment: Deployment, **changes: object
) -> ScoreStreamSettings:
    fields = ("bootstrap_servers", "input_topic", "output_topic", "dead_letter_topic", "query_name")
    values = {name: getattr(deployment, name) for name in fields}
    return ScoreStreamSettings(**{**values, "kafka": broker.options(), **changes})


def test_with_all_rights_nothing_is_said(
    secure_broker: SecureBroker,
    user: User,
    secure_deployment: Deployment,
    caplog: pytest.LogCaptureFixture,
) -> None:
    grant(secure_broker, rights_of(secure_deployment))

    with caplog.at_level(logging.WARNING, "lib"):
        check_kafka(build_settings(secure_broker, secure_deployment))

    assert caplog.messages == []


ASKED_FIRST = ("READ topic input", "WRITE topic output", "WRITE topic dead", "READ group query")


@pytest.mark.parametrize("lacking", ASKED_FIRST)
def test_a_lacking_right_is_named_with_the_command_that_grants_it(
    secure_broker: SecureBroker, user: User, secure_deployment: Deployment, lacking: str
) -> None:
    operation, kind, start = lacking.split()
    rights = rights_of(secure_deployment)
    (taken,) = (
        right
        for right in rights
        if (right.operation, right.kind) == (operation, kind) and right.name.startswith(start)
    )
    grant(secure_broker, [right for right in rights if right != taken])

    with pytest.raises(KafkaSetupError) as error:
        check_kafka(build_settings(secure_broker, secure_deployment))

    assert str(error.value) == (
        f"User:churn-job lacks {operation} on {kind} {taken.name}"
        f" at {secure_broker.bootstrap_servers}"
        f" (kafka-acls.sh --add --allow-principal User:churn-job"
        f" --operation {operation} --{kind} {taken.name})"
    )


def test_all_that_is_lacking_stands_in_one_line(
    secure_broker: SecureBroker, user: User, secure_deployment: Deployment
) -> None:
    with pytest.raises(KafkaSetupError) as error:
        check_kafka(build_settings(secure_broker, secure_deployment))

    message = str(error.value)
    for right in rights_of(secure_deployment)[:4]:
        assert str(right) in message
        assert right.command(user.principal) in message
    assert "\n" not in message


def test_a_right_to_the_transactional_id_shows_when_the_writer_opens(
    secure_broker: SecureBroker, user: User, secure_deployment: Deployment
) -> None:
    rights = rights_of(secure_deployment)
    grant(secure_broker, [right for right in rights if right.kind != "transactional id"])
    check_kafka(build_settings(secure_broker, secure_deployment))
    name = secure_deployment.query_name
    settings = TransactionSettings(
        secure_broker.bootstrap_servers,
        name,
        secure_deployment.input_topic,
        kafka=secure_broker.options(),
    )
    writer = TransactionalWriter(settings)
    of_partition = TransactionalWriter(settings_of_partition(settings, 0))

    with pytest.raises(
        SinkRejectedError, match=f"--transactional-id {name}: --resource-pattern-type prefixed"
    ):
        of_partition.open()
    with pytest.raises(SinkRejectedError) as error:
        writer.open()

    assert "TRANSACTIONAL_ID_AUTHORIZATION_FAILED" in str(error.value)
    assert (
        "(kafka-acls.sh --add --allow-principal User:churn-job"
        f" --operation WRITE --transactional-id {name})"
    ) in str(error.value)
    writer.close()


def test_the_check_before_a_start_has_a_row_for_each_right(
    secure_broker: SecureBroker, user: User, secure_deployment: Deployment, spark: SparkSession
) -> None:
    plain = build_settings(secure_broker, secure_deployment)
    settings = CheckSettings(**plain.model_dump())
    query = settings.query_name
    command = "kafka-acls.sh --add --allow-principal User:churn-job --operation"

    def check() -> dict[str, tuple[str, str]]:
        examination = Examination()
        check_brokers(examination, settings, None)
        rights = list_own_rights(settings)
        check_by_java(examination, spark, settings.cluster, rights, settings.lease)
        return {it.check: (it.severity.name, it.hint) for it in examination.findings}

    found = check()
    assert found[f"right: READ on topic {settings.input_topic}"] == (
        "ERROR",
        f"{command} READ --topic {settings.input_topic}",
    )
    assert found[f"right: READ on group {query}"] == ("ERROR", f"{command} READ --group {query}")
    assert found[f"right: WRITE on transactional id {query}"] == (
        "ERROR",
        f"{command} WRITE --transactional-id {query}",
    )
    assert found["clock"] == ("WARNING", f"{command} DESCRIBE --cluster")

    grant(
        secure_broker,
        [*rights_of(secure_deployment), Right("DESCRIBE", "cluster", CLUSTER, "reads the clock")],
    )
    found = check()
    assert {severity for severity, _ in found.values()} == {"OK", "NOTE"}
    assert f"right: WRITE on transactional id {query}" in found
    assert "clock" in found


def test_at_least_once_needs_neither_group_nor_transactional_id(
    secure_broker: SecureBroker, user: User, secure_deployment: Deployment
) -> None:
    rights = rights_of(secure_deployment, delivery="at-least-once")
    assert {right.kind for right in rights} == {"topic", "cluster"}
    grant(secure_broker, rights)

    check_kafka(build_settings(secure_broker, secure_deployment, delivery="at-least-once"))

    with pytest.raises(KafkaSetupError, match=r"lacks READ on group query-"):
        check_kafka(build_settings(secure_broker, secure_deployment))


def test_a_topic_that_is_not_there_is_told_from_one_that_is_hidden(
    secure_broker: SecureBroker, user: User, secure_deployment: Deployment
) -> None:
    grant(secure_broker, rights_of(secure_deployment))
    absent = Right("READ", "topic", "absent", "is not there")

    with pytest.raises(KafkaSetupError, match=r"User:churn-job lacks READ on topic absent"):
        check_kafka(build_settings(secure_broker, secure_deployment, input_topic="absent"))
    grant(secure_broker, [absent])
    with pytest.raises(KafkaSetupError, match=r"missing at .*: topic absent \(create it with"):
        check_kafka(build_settings(secure_broker, secure_deployment, input_topic="absent"))


def test_without_the_optional_right_the_limits_are_not_checked_and_one_line_says_so(
    secure_broker: SecureBroker,
    user: User,
    secure_deployment: Deployment,
    caplog: pytest.LogCaptureFixture,
) -> None:
    rights = rights_of(secure_deployment)
    grant(secure_broker, [right for right in rights if not right.is_optional])

    with caplog.at_level(logging.WARNING, "lib"):
        check_kafka(build_settings(secure_broker, secure_deployment))

    command = "kafka-acls.sh --add --allow-principal User:churn-job --operation DESCRIBE_CONFIGS"
    topics = [
        secure_deployment.input_topic,
        secure_deployment.output_topic,
        secure_deployment.dead_letter_topic,
    ]
    assert caplog.messages == [
        f"the limits of {', '.join(f'topic {it}' for it in topics)}, and the brokers' version and"
        " for how long they keep offsets are not checked: User:churn-job lacks DESCRIBE_CONFIGS"
        f" ({' && '.join(f'{command} --topic {it}' for it in topics)} && {command} --cluster)"
    ]

    caplog.clear()
    grant(secure_broker, [right for right in rights if right.kind == "topic"])
    with caplog.at_level(logging.WARNING, "lib"):
        check_kafka(build_settings(secure_broker, secure_deployment))

    assert caplog.messages == [
        "the brokers' version and for how long they keep offsets are not checked: User:churn-job"
        f" lacks DESCRIBE_CONFIGS ({command} --cluster)"
    ]


def test_a_dead_letter_topic_without_room_is_reported_by_numbers(
    secure_broker: SecureBroker,
    user: User,
    secure_deployment: Deployment,
    caplog: pytest.LogCaptureFixture,
) -> None:
    narrow = f"narrow-{secure_deployment.query_name}"
    create_topics(Cluster(secure_broker.admin_servers), {narrow: 1})
    deployment = replace(secure_deployment, dead_letter_topic=narrow)
    grant(secure_broker, rights_of(deployment))

    with caplog.at_level(logging.INFO, "lib.stream.preflight"):
        check_kafka(build_settings(secure_broker, deployment))

    quiet, loud = sorted(caplog.records, key=lambda record: record.levelno)
    assert (quiet.levelname, loud.levelname) == ("INFO", "WARNING")
    assert "have one replica: the cluster has one broker" in quiet.getMessage()
    assert f"topic {narrow}: max.message.bytes is 1048588, but " in loud.getMessage()
    assert loud.getMessage().endswith(
        f"--entity-name {narrow} --add-config max.message.bytes=1064972)"
    )


def test_a_topic_that_nothing_can_be_written_to_ends_the_start(
    secure_broker: SecureBroker, user: User, secure_deployment: Deployment
) -> None:
    stuck = f"stuck-{secure_deployment.query_name}"
    create_topics(Cluster(secure_broker.admin_servers), {stuck: 1}, {"min.insync.replicas": "2"})
    deployment = replace(secure_deployment, output_topic=stuck)
    grant(secure_broker, rights_of(deployment))

    with pytest.raises(KafkaSetupError, match=r"found 1 replica, .* nothing can be written"):
        check_kafka(build_settings(secure_broker, deployment))
