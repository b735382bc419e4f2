"""Whoever sends large records decides how large a batch is; that must not stop the job."""

from __future__ import annotations

from tests.end_to_end.jobs import JOB_TIMEOUT_S, Deployment, read_account, start_job
from tests.support.topics import build_customers, produce

_RECORDS = 3_000
# Less than the messages of one batch.
_OPTIONS = {"spark.ui.enabled": "false", "spark.driver.maxResultSize": "1m"}


def run_with_small_driver(deployment: Deployment, **arguments: str) -> str:
    """Score records of which a driver cannot collect all at once; what the job printed."""
    records = build_customers(_RECORDS, bad_share=0.02, seed=4)
    produce(deployment.bootstrap_servers, deployment.input_topic, records)

    with start_job(deployment.arguments(**arguments), spark_options=_OPTIONS) as process:
        output, errors = process.communicate(timeout=JOB_TIMEOUT_S)

    printed = output + errors
    assert process.returncode == 0, printed
    assert read_account(deployment, records).faults == {}
    return printed


def test_a_batch_that_the_driver_cannot_collect_is_written_in_parts(
    deployment: Deployment,
) -> None:
    printed = run_with_small_driver(deployment)

    assert printed.count("is too large, writing it in halves") >= 2, printed


def test_commits_on_executors_send_no_batch_to_the_driver(deployment: Deployment) -> None:
    printed = run_with_small_driver(deployment, commit="executor")

    assert "batch 0: 3,000 records" in printed, printed
    assert "is too large" not in printed, printed
