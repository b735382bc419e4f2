"""``jobs/check.py`` finds what a start would find, and changes nothing."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka.admin import AdminClient
from pyspark.sql import SparkSession

from lib.findings import Finding, Severity
from lib.kafka.admin import build_admin, read_ends
from lib.kafka.cluster import Cluster
from lib.kafka.rights import Right
from lib.kafka.view import look_at_kafka
from lib.settings.jobs.check import CheckSettings
from lib.settings.jobs.topics import TopicsSettings
from lib.source.kafka import build_java_admin
from lib.tools.broker import Broker
from lib.tools.check.doctor import examine
from lib.tools.check.report import find_exit_code
from lib.tools.topics import create_missing
from tests.conftest import TopicFactory
from tests.end_to_end.jobs import Deployment
from tests.support.topics import build_customers, produce

Check = Callable[..., dict[str, Finding]]


@pytest.fixture
def check(spark: SparkSession, deployment: Deployment) -> Check:
    """Make the checks of the deployment with changes: check → the worst finding, in order."""

    def run(**changes: Any) -> dict[str, Finding]:
        settings = CheckSettings(**deployment.values(model="churn@champion", **changes))
        found: dict[str, Finding] = {}
        for it in examine(settings, lambda: nullcontext(spark)):
            if it.check not in found or it.severity.value > found[it.check].severity.value:
                found[it.check] = it
        return found

    return run


def list_state(deployment: Deployment, spark: SparkSession) -> dict[str, object]:
    """Return all that a check might have changed, except for brokers' own topics."""
    cluster = Cluster(deployment.bootstrap_servers)
    admin = AdminClient({"bootstrap.servers": deployment.bootstrap_servers})
    java: Any = build_java_admin(spark, cluster)
    transactions = java.listTransactions().all().get()
    state: dict[str, object] = {
        "topics": sorted(it for it in admin.list_topics(timeout=10).topics if it[:2] != "__"),
        "groups": sorted(it.group_id for it in admin.list_consumer_groups().result().valid),
        "transactions": sorted((it.transactionalId(), it.producerId()) for it in transactions),
        "records": {
            topic: read_ends(admin, topic)
            for topic in (
                deployment.input_topic,
                deployment.output_topic,
                deployment.dead_letter_topic,
            )
        },
        "files": sorted(deployment.checkpoint.parent.rglob("*")),
    }
    java.close()
    return state


def test_a_sound_place_passes_and_nothing_is_changed(
    check: Check, deployment: Deployment, spark: SparkSession
) -> None:
    produce(deployment.bootstrap_servers, deployment.input_topic, build_customers(20))
    before = list_state(deployment, spark)

    found = check()

    assert list_state(deployment, spark) == before
    failed = [it for it in found.values() if it.severity is Severity.ERROR]
    assert failed == []
    assert find_exit_code(list(found.values())) == 0
    query, place = deployment.query_name, deployment.checkpoint
    seen = {name: it.found for name, it in found.items()}
    assert seen["model"] == "churn@1/onnx, threshold 0.4"
    assert seen["fallback"] == "not in use"
    assert seen["contract"] == "telco-churn, max_bytes = 65536"
    assert seen["checkpoint"] == f"{place}: none yet"
    assert seen[f"topic {deployment.input_topic}"] == "partitions: 4"
    assert seen[f"topic {deployment.dead_letter_topic}: max.message.bytes"] == "3145728"
    assert seen["Kafka's version"] == "4.0 or newer"
    assert seen["brokers: transaction.max.timeout.ms"] == "900000"
    assert seen[f"right: WRITE on transactional id {query}"] == "the user may see it"
    assert seen["jobs of this query name"] == "none that is alive"
    # The broker of the tests runs on this machine.
    assert found["clock"].severity is Severity.OK
    assert "s the brokers'" not in seen["clock"]
    assert found["memory"].severity is not Severity.NOTE


def test_every_fault_is_a_row_of_its_own_and_no_fault_hides_another(
    check: Check, deployment: Deployment, topic: TopicFactory, tmp_path: Path
) -> None:
    narrow, stuck = topic(), topic(1, {"min.insync.replicas": "2"})
    tight = topic(4, {"max.message.bytes": "20000", "retention.ms": "3600000"})
    file = tmp_path / "file"
    file.touch()

    found = check(
        input_topic=tight,
        output_topic=stuck,
        dead_letter_topic="no-such-topic",
        store=str(tmp_path / "nowhere"),
        checkpoint=str(file / "checkpoint"),
        transaction_timeout=1_000,
        batch_timeout=2_000,
    )

    assert find_exit_code(list(found.values())) == 2
    assert {name for name, it in found.items() if it.severity is Severity.ERROR} == {
        "topic no-such-topic",
        "model",
        "checkpoint's disk",
        "checkpoint",
        "brokers: transaction.max.timeout.ms",
    }
    assert found["topic no-such-topic"].hint.startswith("create it with kafka-topics.sh --create")
    assert found["brokers: transaction.max.timeout.ms"].hint == (
        "raise it, or lower --transaction-timeout to 900"
    )

    found = check(
        input_topic=tight, output_topic=stuck, dead_letter_topic=narrow, expected_outage=200
    )

    assert {name for name, it in found.items() if it.severity is Severity.ERROR} == {
        f"topic {stuck}: replicas"
    }
    warned = {name for name, it in found.items() if it.severity is Severity.WARNING}
    assert {
        f"topic {tight}: max.message.bytes",
        f"topic {tight}: retention.ms",
        "brokers: offsets.retention.minutes",
        "brokers: transactional.id.expiration.ms",
    } <= warned


@pytest.mark.usefixtures("impatient")
def test_without_brokers_all_else_is_checked(check: Check, broker: Broker) -> None:
    found = check(bootstrap_servers="127.0.0.1:1")

    assert {name for name, it in found.items() if it.severity is Severity.ERROR} == {"brokers"}
    assert found["brokers"].hint == (
        "start the broker, or correct address and port in --bootstrap-servers"
    )
    for name in ("topics", "rights", "the brokers' settings", "positions", "clock"):
        assert found[name].found == "not checked: no broker answers"
    assert found["model"].found == "churn@1/onnx, threshold 0.4"
    assert found["checkpoint"].severity is Severity.OK


def test_missing_topics_are_created_once_with_room_for_dead_letters(broker: Broker) -> None:
    names = [f"made-{uuid.uuid4().hex[:8]}-{kind}" for kind in ("in", "out", "dead")]
    settings = TopicsSettings(
        bootstrap_servers=broker.bootstrap_servers,
        input_topic=names[0],
        output_topic=names[1],
        dead_letter_topic=names[2],
        topic_partitions=3,
    )

    assert list(create_missing(settings)) == [
        f"topic {names[0]} created, partitions: 3",
        f"topic {names[1]} created, partitions: 3",
        f"topic {names[2]} created, partitions: 1",
    ]
    assert list(create_missing(settings)) == [
        f"topic {name} exists, and is left as it is" for name in names
    ]
    admin = build_admin(broker.cluster)
    view = look_at_kafka(admin, [Right("WRITE", "topic", names[2], "writes dead letters")])
    assert view.find_facts(names[2]).max_message_bytes == 2_097_152
