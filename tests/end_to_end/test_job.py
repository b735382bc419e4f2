"""An operator sees the job's exit codes, one-line errors and reactions to signals."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from jobs.score_stream import run_stream
from lib.exactly_once.transaction.settings import ignore_step
from lib.settings.command import run_command
from lib.settings.command import run_job as run_job_here
from lib.settings.jobs.score_stream import ScoreStreamSettings
from lib.setup.places import PROJECT_ROOT
from lib.stream.preflight import check_kafka
from lib.stream.start_log import StartLog
from lib.stream.watch.stop_signal import StopSignal
from lib.telemetry.monitor import Monitor
from tests.conftest import TopicFactory
from tests.end_to_end.jobs import (
    JOB_TIMEOUT_S,
    SCORE_STREAM,
    Deployment,
    read_account,
    read_start,
    run_job,
    start_job,
)
from tests.support.topics import Record, build_customers, produce, read_topic

TIME = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"
INCUBATOR = "WARNING: Using incubator modules: jdk.incubator.vector\n"
# The documents promise this time.
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


def report(
    capsys: pytest.CaptureFixture[str],
    work: Callable[[ScoreStreamSettings], object],
    **options: Any,
) -> str:
    """Run a part of the job in this process, and return the one line with which it fails."""
    settings = ScoreStreamSettings(**options)

    def run() -> int:
        work(settings)
        return 0

    started = time.monotonic()
    assert run_command(run) == 1
    assert time.monotonic() - started < FAIL_WITHIN_S
    printed = capsys.readouterr().err
    assert printed.startswith("error: ")
    assert printed.count("\n") == 1
    return printed


def test_a_missing_topic_is_one_line(
    deployment: Deployment, capsys: pytest.CaptureFixture[str]
) -> None:
    missing = r"missing at .*: topic no-such-topic \(create it with "
    started = time.monotonic()

    done = run_job(deployment.arguments(input_topic="no-such-topic"))

    assert_one_line(done, missing)
    assert time.monotonic() - started < FAIL_WITHIN_S
    options = deployment.values(dead_letter_topic="no-such-topic")
    assert re.search(missing, report(capsys, check_kafka, **options))


@pytest.mark.usefixtures("impatient")
def test_an_unreachable_broker_is_one_line(
    deployment: Deployment, capsys: pytest.CaptureFixture[str]
) -> None:
    printed = report(capsys, check_kafka, **deployment.values(bootstrap_servers="127.0.0.1:1"))

    assert printed == (
        "error: no connection to Kafka: nothing listens at 127.0.0.1:1 (Connection refused) (start"
        " the broker, or correct address and port in --bootstrap-servers)\n"
    )


@pytest.fixture
def stream(spark: SparkSession) -> Iterator[Callable[[ScoreStreamSettings], None]]:
    """Provide what the job does once it has a session."""
    with StopSignal() as stop:
        yield lambda settings: run_stream(spark, settings, stop, ignore_step, StartLog(), Monitor())


def test_a_model_of_another_contract_is_one_line(
    deployment: Deployment,
    stream: Callable[[ScoreStreamSettings], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    loan = Path(__file__).parents[1] / "domains" / "loan.toml"

    printed = report(
        capsys, stream, **deployment.values(contract=str(loan), model="churn@champion")
    )

    found = r"churn@1: found contract fingerprint [0-9a-f]{64}, expected [0-9a-f]{64} \(loan"
    assert re.search(found, printed)


def test_an_altered_model_is_one_line(
    deployment: Deployment,
    stream: Callable[[ScoreStreamSettings], None],
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    store = tmp_path / "models"
    shutil.copytree(deployment.store, store)
    artefact = store / "churn" / "1" / "pipeline.joblib"
    artefact.write_bytes(artefact.read_bytes()[:-1] + b"\x00")
    altered = replace(deployment, store=store)

    printed = report(capsys, stream, **altered.values(backend="sklearn"))

    assert "pipeline.joblib" in printed


def test_a_wrong_setting_is_one_line(
    deployment: Deployment, capsys: pytest.CaptureFixture[str]
) -> None:
    def work(settings: ScoreStreamSettings) -> int:
        raise AssertionError("the settings are wrong")

    assert run_job_here(ScoreStreamSettings, work, deployment.arguments(delivery="perhaps")) == 2
    printed = capsys.readouterr().err
    assert re.match(r"error: --delivery: .*found 'perhaps'.*\n$", printed)


def test_plain_spark_submit_without_the_connector_says_how_to_add_it(
    deployment: Deployment,
) -> None:
    submit = PROJECT_ROOT / ".venv" / "bin" / "spark-submit"
    command = str(submit) if submit.exists() else shutil.which("spark-submit")
    assert command is not None
    environment = {name: value for name, value in os.environ.items() if name != "SPARK_CONF_DIR"}
    # Spark's own script looks for Spark with the python3 that the shell finds, as in an activated
    # environment.
    environment["PATH"] = f"{Path(command).parent}{os.pathsep}{environment['PATH']}"

    done = subprocess.run(
        [command, "--conf", "spark.ui.enabled=false", SCORE_STREAM, *deployment.arguments()],
        capture_output=True,
        text=True,
        check=False,
        timeout=JOB_TIMEOUT_S,
        env=environment,
    )

    assert_one_line(done, r"connector .*--packages org\.apache\.spark:spark-sql-kafka-0-10_2\.13:4")


def stop_after_first_batch(arguments: list[str], number: signal.Signals) -> tuple[list[str], str]:
    """Start the job, stop it by a signal, check its clean end and that nothing alarms anybody.

    Returns:
        The lines of the start, and the output after the first batch.
    """
    with start_job(arguments) as process:
        started, first = read_start(process)
        assert first.startswith("batch 0: "), first
        if number is signal.SIGINT:
            os.killpg(process.pid, number)  # a terminal signals the whole foreground group
        else:
            process.send_signal(number)  # a supervisor signals the process that it started
        output, errors = process.communicate(timeout=60)

    assert process.returncode == 0, errors
    assert "Traceback" not in output + errors
    assert "Exception" not in output + errors
    # The one warning of the start is that of Java about a module of Spark's.
    assert errors in ("", INCUBATOR)
    told = [line for line in output.splitlines() if " WARNING " in line or " ERROR " in line]
    assert all(": stopping, " in line or ": waiting for " in line for line in told), told
    return started, output


def send_customers(deployment: Deployment) -> tuple[list[Record], list[str]]:
    """Write customers to the input topic, and return arguments to answer them in six batches."""
    records = build_customers(3_000, bad_share=0.05)
    produce(deployment.bootstrap_servers, deployment.input_topic, records)
    return records, deployment.arguments(trigger="100 milliseconds", max_offsets_per_trigger=500)


def test_sigterm_finishes_the_batch_and_the_next_start_drains_and_tells_what_it_did(
    deployment: Deployment, topic: TopicFactory
) -> None:
    records, arguments = send_customers(deployment)

    started, output = stop_after_first_batch(arguments, signal.SIGTERM)

    assert [re.sub(r"\d+\.\d+ s", "N s", line) for line in started[1:]] == [
        f"brokers 1 at {deployment.bootstrap_servers}, PLAINTEXT",
        f"topics {deployment.input_topic} (partitions: 4) -> {deployment.output_topic} (partitions:"
        f" 4), dead letters {deployment.dead_letter_topic} (partitions: 2)",
        "model churn@1/onnx, threshold 0.4, records read by Python workers, scored by Python"
        " workers",
        "guarantee exactly-once: the driver commits each batch in a transaction",
        f"group {deployment.query_name} at 0:0,1:0,2:0,3:0 (first start: the configured position)",
        "Spark's UI is switched off",
        "ready after N s: the query runs",
    ]
    assert re.fullmatch(
        r"version 0\.1\.0, commit ([0-9a-f]{12}|unknown), Spark 4\.2\.0, Python 3\.\d+\.\d+",
        started[0],
    )
    assert re.search(rf"^{TIME} stopped after ", output, re.MULTILINE)
    before = read_account(deployment, records)
    shadow, shadow_topic = str(deployment.store / "churn/1/pipeline.joblib"), topic(2)
    done = run_job(deployment.arguments(shadow=shadow, shadow_topic=shadow_topic))
    assert done.returncode == 0, done.stderr
    assert done.stderr in ("", INCUBATOR)
    account = read_account(deployment, records)
    assert account.faults == {}
    lines = done.stdout.splitlines()
    left = len(before.missing)
    shadowed = read_topic(deployment.bootstrap_servers, shadow_topic)
    assert {it.key() for it in shadowed} == account.predictions.keys() - before.predictions.keys()
    assert len(shadowed) == len(account.predictions) - len(before.predictions)
    assert "shadow churn@1/sklearn, threshold 0.4, answers beside it" in done.stdout
    assert f"{deployment.dead_letter_topic} (partitions: 2), shadow answers {shadow_topic}" in (
        done.stdout
    )
    batch = r"batch \d: [\d,]+ records in [\d,]+ ms \| [\d,]+/s \| lag 0, to the end 0 \| "
    assert re.match(f"{TIME} {batch}", lines[-2])
    # A batch that Spark had planned when the signal came is done first, without other records.
    batches = 1 if lines[-2].split()[4] == f"{left:,}" else 2
    assert re.sub(f"^{TIME} ", "", lines[-1]) == (
        f"stopped after {batches} batches: {left:,} records,"
        f" {len(account.predictions) - len(before.predictions):,} predictions,"
        f" {len(account.dead_letters) - len(before.dead_letters):,} dead letters"
    )
    for _, value in records[:50]:
        if value is not None and b"customerID" in value:
            identifier = re.search(rb'"customerID":"([^"]+)"', value)
            assert identifier is not None
            assert identifier[1].decode() not in output + done.stderr + done.stdout


def test_ctrl_c_finishes_the_batch_and_exits_0(deployment: Deployment) -> None:
    records, arguments = send_customers(deployment)

    _, output = stop_after_first_batch(arguments, signal.SIGINT)

    assert re.search(rf"^{TIME} stopped after ", output, re.MULTILINE)
    assert read_account(deployment, records).faults.keys() <= {"missing"}


def test_a_signal_leaves_no_traceback_where_it_interrupts_a_batch(deployment: Deployment) -> None:
    """At-least-once delivery interrupts the current batch, Python workers included."""
    records = build_customers(5_000)
    produce(deployment.bootstrap_servers, deployment.input_topic, records)
    arguments = deployment.arguments(
        delivery="at-least-once", trigger="0 seconds", max_offsets_per_trigger=1_000
    )

    stop_after_first_batch(arguments, signal.SIGTERM)
