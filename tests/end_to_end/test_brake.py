"""The brake stops the job before it writes a flood of dead letters, and the job can go on."""

from __future__ import annotations

import re
import signal
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from lib.errors import BrakeError
from lib.exit_codes import find_exit_code
from lib.stream.watch.stop_signal import StopSignal
from lib.telemetry.monitor import Monitor
from tests.crash.supervisor import DYING_JOB
from tests.end_to_end.jobs import JOB_TIMEOUT_S, Deployment, read_account, run_job, start_job
from tests.end_to_end.query import start_query
from tests.support.records import record
from tests.support.telco import CONTRACT_FILE
from tests.support.topics import Record, produce, read_topic

BRAKE = {"max_dead_letter_share": 0.2, "over": 100, "max_offsets_per_trigger": 60}
ACCEPT = {"once_accept_dead_letters": True}
BY_RULE = r"\d+ not_allowed of Contract \(TOPIC-\d@\d+\)"
BY_MODEL = r"\d+ no_probability \(TOPIC-\d@\d+\)"
# The model that fails on this record is made of a text; see the options below.
SQL = "CASE WHEN tenure = 37 THEN NULL ELSE 0.25D END"


class Silent:
    """A view of nothing."""

    def show(self, *_: Any) -> None: ...

    def close(self, *_: Any) -> None: ...


def score(spark: SparkSession, deployment: Deployment, **options: Any) -> Monitor:
    monitor = Monitor(is_on=True)
    with StopSignal() as stop:
        settings = deployment.settings(**options)
        start_query(spark, settings, stop=stop, monitor=monitor).follow(Silent(), stop)
    return monitor


def make_flood(**changes: Any) -> list[Record]:
    """Make 300 good records, 100 with some changes, and 100 good ones."""
    return [
        (b"%d" % it, record(customerID=f"c-{it}", **(changes if 300 <= it < 400 else {})))
        for it in range(500)
    ]


def count_letters(deployment: Deployment) -> int:
    return len(read_topic(deployment.bootstrap_servers, deployment.dead_letter_topic))


def brake(spark: SparkSession, deployment: Deployment, **options: Any) -> BrakeError:
    with pytest.raises(BrakeError) as caught:
        score(spark, deployment, **options, **BRAKE)
    assert find_exit_code(caught.value) == 5
    return caught.value


@pytest.mark.parametrize(
    ("options", "changes", "what", "then"),
    [
        ({"backend": "onnx"}, {"Contract": "Weekly"}, BY_RULE, ACCEPT),
        (
            {"backend": "onnx", "commit": "executor", "dead_letter_format": "envelope"},
            {"Contract": "Weekly"},
            BY_RULE,
            ACCEPT,
        ),
        ({"model": "sql"}, {"tenure": 37}, BY_MODEL, {"model": "churn@champion"}),
        (
            {"model": "sql", "commit": "executor"},
            {"tenure": 37},
            "its last records keep the contract, so the model fails on them",
            {"model": "churn@champion"},
        ),
    ],
    ids=["driver", "executor", "driver, in the JVM", "executor, in the JVM"],
)
def test_a_flood_stops_the_job_before_it_is_written_and_nothing_is_lost_or_written_twice(
    spark: SparkSession,
    deployment: Deployment,
    tmp_path: Path,
    options: dict[str, Any],
    changes: dict[str, Any],
    what: str,
    then: dict[str, Any],
) -> None:
    if "model" in options:
        (tmp_path / "fussy.sql").write_text(SQL)
        options = options | {"model": str(tmp_path / "fussy.sql"), "contract": CONTRACT_FILE}
    records = make_flood(**changes)
    produce(deployment.bootstrap_servers, deployment.input_topic, records)

    error = brake(spark, deployment, **options)

    assert re.search(
        r"\d+ of 100 records in a row are dead letters, \d\d\.\d%, more than"
        rf" --max-dead-letter-share 0\.2 allows; in this batch: {what}$".replace(
            "TOPIC", re.escape(deployment.input_topic)
        ),
        error.message,
    )
    assert "--once-accept-dead-letters" in error.hint
    written = count_letters(deployment)
    is_by_tasks = options.get("commit") == "executor"
    # The driver writes nothing of the batch that is refused, so at most a fifth of 100 passes.
    assert written <= (60 if is_by_tasks else 20)

    # Started again without a change, it judges the same batch and stops again.
    brake(spark, deployment, **options)
    if not is_by_tasks:
        assert count_letters(deployment) == written
    written = count_letters(deployment)

    score(spark, deployment, **{**options, **then, **BRAKE})
    account = read_account(deployment, records)
    assert account.faults == {}
    assert len(account.dead_letters) == (100 if then == ACCEPT else written)

    # The flag accepts nothing that comes later.
    more = [(b"more-%d" % it, b"{}") for it in range(150)]
    produce(deployment.bootstrap_servers, deployment.input_topic, more)
    if then == ACCEPT and not is_by_tasks:
        brake(spark, deployment, **options)


def test_at_least_once_the_job_stops_after_the_batch_and_alerts_go_on(
    spark: SparkSession, deployment: Deployment, caplog: pytest.LogCaptureFixture
) -> None:
    records = make_flood(Contract="Weekly")
    produce(deployment.bootstrap_servers, deployment.input_topic, records)
    options = {"delivery": "at-least-once", "backend": "sql"}

    error = brake(spark, deployment, **options)

    assert re.search(
        r"^\d+ of 100 records in a row .* \d+ not_allowed of Contract \(", error.message
    )
    assert error.hint.startswith("this batch is written, and nothing after it; ")
    assert count_letters(deployment) > 20

    monitor = score(spark, deployment, **options, brake="alert", **BRAKE)

    assert read_account(deployment, records).faults == {}
    assert monitor.figures.brake is not None
    assert monitor.figures.brake.share is not None
    assert monitor.figures.brake.share < 0.2


def test_the_brake_warns_instead_of_stopping(
    spark: SparkSession, deployment: Deployment, caplog: pytest.LogCaptureFixture
) -> None:
    records = make_flood(Contract="Weekly")[:400]
    produce(deployment.bootstrap_servers, deployment.input_topic, records)

    monitor = score(spark, deployment, backend="onnx", brake="alert", **BRAKE)

    assert read_account(deployment, records).faults == {}
    told = [it for it in caplog.messages if it.startswith("the brake: ")]
    assert len(told) == 1
    assert re.search(r"in this batch: \d+ not_allowed of Contract \(", told[0])
    state = monitor.figures.brake
    assert state is not None
    assert state.is_engaged
    assert state.share is not None
    assert state.share > 0.9
    assert [it.text for it in monitor.job.events if it.kind == "brake"] == [
        "too many of the last 100 records are dead letters"
    ]


def test_killed_while_it_brakes_it_loses_nothing_and_ends_with_an_exit_code_of_its_own(
    spark: SparkSession, deployment: Deployment, tmp_path: Path
) -> None:
    records = make_flood(Contract="Weekly")
    produce(deployment.bootstrap_servers, deployment.input_topic, records)
    options: dict[str, Any] = {**BRAKE, "max_offsets_per_trigger": 250}
    arguments = deployment.arguments(**options)
    (tmp_path / "order").write_text("braked 1")
    with start_job(arguments, DYING_JOB, {"CRASH_FOLDER": str(tmp_path)}) as process:
        _, errors = process.communicate(timeout=JOB_TIMEOUT_S)
    assert process.returncode == -signal.SIGKILL, errors
    assert count_letters(deployment) == 0

    done = run_job(arguments)

    assert done.returncode == 5, done.stderr
    assert re.search(r"error: \d+ of 100 records in a row are dead letters, ", done.stdout)
    assert "Weekly" not in done.stderr + done.stdout
    assert count_letters(deployment) == 0

    score(spark, deployment, **options, **ACCEPT)
    assert read_account(deployment, records).faults == {}
