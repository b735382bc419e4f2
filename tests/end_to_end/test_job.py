"""The job as an operator meets it: exit codes, one-line errors, signals."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import pytest

from tests.end_to_end.jobs import (
    JOB_TIMEOUT_S,
    ROOT,
    SCORE_STREAM,
    Deployment,
    read_account,
    run_job,
    start_job,
)
from tests.support.topics import build_customers, produce

# What the user is promised.
FAIL_WITHIN_S = 30.0


def assert_one_line(done: subprocess.CompletedProcess[str], message: str) -> None:
    # spark-submit joins the standard error of a Python job to its standard output.
    printed = done.stdout + done.stderr
    errors = [line for line in printed.splitlines() if line.startswith("error: ")]
    assert done.returncode not in (0, None)
    assert len(errors) == 1, printed
    assert re.search(message, errors[0]), errors[0]
    assert "Traceback" not in printed
    assert "Exception in thread" not in printed


def run_timed(arguments: list[str]) -> tuple[subprocess.CompletedProcess[str], float]:
    started = time.monotonic()
    return run_job(arguments), time.monotonic() - started


def test_drains_and_tells_what_it_did(deployment: Deployment) -> None:
    records = build_customers(600, bad_share=0.05)
    produce(deployment.bootstrap_servers, deployment.input_topic, records)

    done = run_job(deployment.arguments())

    assert done.returncode == 0, done.stderr
    account = read_account(deployment, records)
    assert account.faults == {}
    lines = done.stdout.splitlines()
    assert re.match(r"batch 0: 600 records in [\d,]+ ms \| [\d,]+/s \| lag 0 \| ", lines[0])
    assert lines[-1] == (
        f"stopped after 1 batches: 600 records, {len(account.predictions)} predictions,"
        f" {len(account.dead_letters)} dead letters"
    )
    for _, value in records[:50]:
        if value is not None and b"customerID" in value:
            identifier = re.search(rb'"customerID":"([^"]+)"', value)
            assert identifier is not None
            assert identifier[1].decode() not in done.stderr + done.stdout


@pytest.mark.parametrize("name", ["input_topic", "dead_letter_topic"])
def test_a_missing_topic_is_one_line(deployment: Deployment, name: str) -> None:
    done, seconds = run_timed(deployment.arguments(**{name: "no-such-topic"}))

    assert_one_line(done, r"missing at .*: topic no-such-topic \(create it with ")
    assert seconds < FAIL_WITHIN_S


def test_an_unreachable_broker_is_one_line(deployment: Deployment) -> None:
    done, seconds = run_timed(deployment.arguments(bootstrap_servers="127.0.0.1:1"))

    assert_one_line(done, r"no Kafka broker answers at 127\.0\.0\.1:1: ")
    assert seconds < FAIL_WITHIN_S


def test_a_model_of_another_contract_is_one_line(deployment: Deployment) -> None:
    loan = Path(__file__).parents[1] / "domains" / "loan.toml"

    done, seconds = run_timed(deployment.arguments(contract=str(loan), model="churn@champion"))

    assert_one_line(
        done, r"churn@1: found contract fingerprint [0-9a-f]{64}, expected [0-9a-f]{64} \(loan"
    )
    assert seconds < FAIL_WITHIN_S


def test_an_altered_model_is_one_line(deployment: Deployment, tmp_path: Path) -> None:
    store = tmp_path / "models"
    shutil.copytree(deployment.store, store)
    artefact = store / "churn" / "1" / "pipeline.joblib"
    artefact.write_bytes(artefact.read_bytes()[:-1] + b"\x00")

    done, _ = run_timed(replace(deployment, store=store).arguments(backend="sklearn"))

    assert_one_line(done, r"pipeline\.joblib")


def test_a_wrong_setting_is_one_line(deployment: Deployment) -> None:
    done, seconds = run_timed(deployment.arguments(delivery="perhaps"))

    assert_one_line(done, r"--delivery: .*found 'perhaps'")
    assert seconds < FAIL_WITHIN_S


def test_plain_spark_submit_without_the_connector_says_how_to_add_it(
    deployment: Deployment,
) -> None:
    submit = ROOT / ".venv" / "bin" / "spark-submit"
    command = str(submit) if submit.exists() else shutil.which("spark-submit")
    assert command is not None
    environment = {name: value for name, value in os.environ.items() if name != "SPARK_CONF_DIR"}

    done = subprocess.run(
        [command, "--conf", "spark.ui.enabled=false", SCORE_STREAM, *deployment.arguments()],
        capture_output=True,
        text=True,
        check=False,
        timeout=JOB_TIMEOUT_S,
        env=environment,
    )

    assert_one_line(done, r"connector .*--packages org\.apache\.spark:spark-sql-kafka-0-10_2\.13:4")


def stop_after_first_batch(arguments: list[str], number: signal.Signals) -> str:
    """Start the job and stop it by a signal; what it printed, after a clean end."""
    with start_job(arguments) as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        assert first.startswith("batch 0: "), first
        if number is signal.SIGINT:
            os.killpg(process.pid, number)  # as a terminal does: to everything in the foreground
        else:
            process.send_signal(number)  # as a supervisor does: to the process it started
        output, errors = process.communicate(timeout=60)

    assert process.returncode == 0, errors
    assert "Traceback" not in output + errors
    assert "Exception" not in output + errors
    assert "Failed to cancel" not in errors  # Spark warns so when there was nothing to cancel
    return output


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_finishes_the_batch_and_exits_0(
    deployment: Deployment, number: signal.Signals
) -> None:
    records = build_customers(3_000)
    produce(deployment.bootstrap_servers, deployment.input_topic, records)
    arguments = deployment.arguments(trigger="100 milliseconds", max_offsets_per_trigger=1_000)

    output = stop_after_first_batch(arguments, number)

    assert output.splitlines()[-1].startswith("stopped after ")
    done = run_job(deployment.arguments())
    assert done.returncode == 0, done.stderr
    assert read_account(deployment, records).faults == {}


def test_a_signal_leaves_no_traceback_where_it_interrupts_a_batch(deployment: Deployment) -> None:
    """At least once, the batch that began meanwhile is interrupted, Python workers included."""
    records = build_customers(5_000)
    produce(deployment.bootstrap_servers, deployment.input_topic, records)
    arguments = deployment.arguments(
        delivery="at-least-once", trigger="0 seconds", max_offsets_per_trigger=1_000
    )

    stop_after_first_batch(arguments, signal.SIGTERM)
