"""Whoever sends large records decides how large a batch is; that must not stop the job."""

from __future__ import annotations

from tests.end_to_end.jobs import JOB_TIMEOUT_S, Deployment, start_job
from tests.topics import build_customers, produce, read_topic, take_account

_RECORDS = 3_000


def test_a_batch_that_the_driver_cannot_collect_is_written_in_parts(
    deployment: Deployment,
) -> None:
    records = build_customers(_RECORDS, bad_share=0.02, seed=4)
    produce(deployment.bootstrap_servers, deployment.input_topic, records)

    options = {"spark.ui.enabled": "false", "spark.driver.maxResultSize": "1m"}
    with start_job(deployment.arguments(), spark_options=options) as process:
        output, errors = process.communicate(timeout=JOB_TIMEOUT_S)

    printed = output + errors
    assert process.returncode == 0, printed
    assert printed.count("is too large, writing it in halves") >= 2, printed
    account = take_account(
        records,
        read_topic(deployment.bootstrap_servers, deployment.output_topic),
        read_topic(deployment.bootstrap_servers, deployment.dead_letter_topic),
    )
    assert account.faults == {}
