"""The real job runs on a broker with TLS, passwords and ACLs, with only the table's rights."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from lib.kafka.cluster import Cluster
from lib.kafka.connection.connect import connect
from lib.kafka.secrets import is_secret
from lib.stream.preflight import check_kafka
from tests.end_to_end.jobs import JOB_TIMEOUT_S, Deployment, read_account, start_job
from tests.end_to_end.test_stream import score
from tests.security.cluster import SecureBroker, User, grant, list_acls, rights_of
from tests.support.topics import build_customers, produce

pytestmark = pytest.mark.broker


@pytest.fixture
def deployment(secure_deployment: Deployment, model_store: Path) -> Deployment:
    return replace(secure_deployment, store=model_store)


def write_options(broker: SecureBroker, folder: Path, **more: str) -> tuple[Path, Path]:
    """Write (the job's settings, its secrets) to files, as an operator keeps them."""
    settings, secrets = folder / "job.toml", folder / "secrets.toml"
    secrets.touch(0o600)
    lines: dict[bool, list[str]] = {True: [], False: ["[kafka]"]}
    for key, value in {**broker.options(), **more}.items():
        lines[is_secret(key)].append(f"{json.dumps(key)} = {json.dumps(value)}\n")
    settings.write_text("\n".join(lines[False]))
    secrets.write_text("\n".join(lines[True]))
    return settings, secrets


def run_secure_job(
    broker: SecureBroker, deployment: Deployment, folder: Path, **options: str
) -> tuple[int, str]:
    """Run the job, and return (exit code, all that was printed)."""
    settings, secrets = write_options(broker, folder)
    arguments = ["--config", str(settings), *deployment.arguments(**options)]
    with start_job(arguments, environment={"SCORE_KAFKA_SECRETS": str(secrets)}) as process:
        output, errors = process.communicate(timeout=JOB_TIMEOUT_S)
    return process.returncode, output + errors


@pytest.mark.parametrize(
    ("delivery", "commit", "sign_in"),
    [
        ("exactly-once", "driver", SecureBroker.oauth_options),
        ("exactly-once", "executor", SecureBroker.options),
        ("at-least-once", "driver", SecureBroker.options),
    ],
)
def test_the_rights_of_the_table_are_enough(
    spark: SparkSession,
    secure_broker: SecureBroker,
    user: User,
    deployment: Deployment,
    delivery: str,
    commit: str,
    sign_in: Callable[[SecureBroker], dict[str, str]],
) -> None:
    """The job's work runs in this process; ``test_no_leaks.py`` starts the job itself."""
    if sign_in is SecureBroker.oauth_options:
        servers = secure_broker.servers["OAUTH"]
        deployment = replace(deployment, bootstrap_servers=servers)
    rights = rights_of(deployment, delivery=delivery, executors_commit=commit == "executor")
    needed = [right for right in rights if not right.is_optional]
    grant(secure_broker, needed)
    assert len(list_acls(secure_broker)) == len(needed)
    options = {"kafka": sign_in(secure_broker), "delivery": delivery, "commit": commit}
    records = build_customers(400, bad_share=0.05)
    produce(secure_broker.admin_servers, deployment.input_topic, records)

    check_kafka(deployment.settings(**options))
    score(spark, deployment, **options)

    account = read_account(deployment, records, secure_broker.admin_servers)
    assert account.faults == {}
    assert account.dead_letters

    more = build_customers(100, seed=9)
    produce(secure_broker.admin_servers, deployment.input_topic, more)
    check_kafka(deployment.settings(**options))
    score(spark, deployment, **options)

    account = read_account(deployment, [*records, *more], secure_broker.admin_servers)
    assert account.faults == {}


@pytest.mark.parametrize("value", ["none", ""])
def test_a_certificate_of_another_host_can_be_accepted_by_all_clients(
    spark: SparkSession, secure_broker: SecureBroker, deployment: Deployment, value: str
) -> None:
    produce(secure_broker.admin_servers, deployment.input_topic, build_customers(10))
    trusted = {"security.protocol": "SSL", "ssl.ca.location": str(secure_broker.certificate)}
    options = {**trusted, "ssl.endpoint.identification.algorithm": value}
    cluster = Cluster(secure_broker.servers["ELSEWHERE"], options)

    connect(cluster)
    source = spark.read.format("kafka").options(**cluster.for_spark())

    assert source.option("subscribe", deployment.input_topic).load().count() == 10


def test_a_lacking_right_ends_the_job_with_one_line(
    secure_broker: SecureBroker, user: User, deployment: Deployment, tmp_path: Path
) -> None:
    rights = rights_of(deployment)
    kind = ("transactional id", "WRITE")  # it is the last right that is missed, when Spark runs
    taken = next(right for right in rights if (right.kind, right.operation) == kind)
    grant(secure_broker, [right for right in rights if right != taken])

    code, printed = run_secure_job(secure_broker, deployment, tmp_path)

    errors = [line for line in printed.splitlines() if line.startswith("error: ")]
    assert code == 1
    assert len(errors) == 1, printed
    assert taken.command(user.principal) in errors[0]
    assert "Traceback" not in printed
    # The warm-up of the workers ends with the start that is refused, and is no error of its own.
    assert not re.findall(r"^\S+ ERROR .*", printed, re.MULTILINE)
