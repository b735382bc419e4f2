"""The job keeps its checkpoint on S3, as kills at telling moments show, and reads a model there."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from lib.exactly_once.checkpoint.format import parse_offsets
from tests.crash.supervisor import DYING_JOB
from tests.end_to_end.jobs import (
    JOB_TIMEOUT_S,
    SCORE_STREAM,
    Deployment,
    read_account,
    start_job,
)
from tests.object_store.server import S3Server
from tests.support.telco import CONTRACT_FILE
from tests.support.topics import build_customers, produce

RECORDS = 2_000
BATCH = 500


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with S3Server(tmp_path_factory.mktemp("s3")) as server:
        yield server


def run(
    s3: S3Server,
    deployment: Deployment,
    folder: Path,
    order: str | None = None,
    **options: str,
) -> tuple[int, str]:
    """Run the job, which may die at a step on order, and return (exit code, messages)."""
    checkpoint = f"s3a://{s3.bucket}/{deployment.query_name}"
    arguments = deployment.arguments(
        checkpoint=checkpoint, max_offsets_per_trigger=BATCH, **options
    )
    if order is not None:
        (folder / "order").write_text(order)
    with start_job(
        arguments,
        SCORE_STREAM if order is None else DYING_JOB,
        {"CRASH_FOLDER": str(folder)},
        submit_options=s3.submit_options(),
    ) as process:
        _, errors = process.communicate(timeout=JOB_TIMEOUT_S)
    return process.returncode, errors


def test_killed_inside_a_batch_and_behind_it_nothing_is_missing_or_repeated(
    s3: S3Server,
    deployment: Deployment,
    tmp_path: Path,
) -> None:
    records = build_customers(RECORDS, bad_share=0.02, seed=3)
    produce(deployment.bootstrap_servers, deployment.input_topic, records)
    name = deployment.query_name

    # The first commit claims the group, so the job dies inside the second batch's transaction.
    code, errors = run(s3, deployment, tmp_path, "offsets_sent 3")
    assert code == -signal.SIGKILL, errors
    keys = s3.list_keys(name)
    assert "offsets/1" in keys
    assert "commits/1" not in keys
    assert "exactly-once/topic-id" in keys

    # The job dies after a commit to Kafka that Spark has not noted yet.
    code, errors = run(s3, deployment, tmp_path, "committed 3")
    assert code == -signal.SIGKILL, errors
    keys = s3.list_keys(name)
    assert "offsets/2" in keys
    assert "commits/2" not in keys
    text = s3.read(f"{name}/offsets/2").decode()
    # Each partition's share of a batch is rounded down.
    assert 2 * BATCH < sum(parse_offsets(text, deployment.input_topic).values()) <= 3 * BATCH

    # The last run reads its model from there too.
    s3.write_folder(deployment.store / "churn" / "1" / "spark_model", "models/churn")
    lone = {"model": f"s3a://{s3.bucket}/models/churn", "contract": str(CONTRACT_FILE)}
    code, errors = run(s3, deployment, tmp_path, **lone)
    assert code == 0, errors
    account = read_account(deployment, records)
    assert account.faults == {}
    assert {it.model for it in account.predictions.values()} >= {"churn/spark"}
    # Objects are written under another name and copied into place; none of those is left.
    assert not [key for key in s3.list_keys(name) if key.endswith(".tmp")]
