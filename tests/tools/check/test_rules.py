"""Each rule of the check alone, and the report, without brokers and Spark."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from lib.errors import SettingsError
from lib.exactly_once.offsets.resume import (
    CheckpointDamage,
    CheckpointFinding,
    CheckpointPosition,
)
from lib.findings import Finding, Severity
from lib.settings.jobs.check import CheckSettings
from lib.settings.jobs.score_stream import ScoreStreamSettings
from lib.settings.load import load_settings
from lib.tools.check.examination import Examination
from lib.tools.check.java_client import ClockDifference, judge_clock
from lib.tools.check.place import check_place, judge_space, judge_spark
from lib.tools.check.query import judge_position
from lib.tools.check.report import find_exit_code, print_table, render_json

FINDINGS = [
    Finding.ok("Java", "17.0.15, by PATH", "17 or newer"),
    Finding(Severity.NOTE, "replication", "one broker", "three", "it is lost", "take three"),
    Finding.failed("topic [in]", SettingsError("missing", hint="create it"), "exists"),
]


def test_the_table_shows_what_was_found_and_expected_and_the_way_out() -> None:
    out = io.StringIO()

    print_table(Console(file=out, width=100), FINDINGS)

    rows = [line.split() for line in out.getvalue().splitlines()]
    assert ["check", "found", "expected", "remedy"] in rows
    assert ["ok", "Java", "17.0.15,", "by", "PATH", "17", "or", "newer"] in rows
    assert ["warn", "replication", "one", "broker", "three", "take", "three"] in rows
    assert ["fail", "topic", "[in]", "missing", "exists", "create", "it"] in rows
    assert rows[-1] == ["1", "ok,", "1", "warn,", "1", "fail"]


def test_programs_get_the_same_as_json() -> None:
    report = json.loads(render_json(FINDINGS))

    assert (report["ok"], report["warn"], report["fail"]) == (1, 1, 1)
    assert report["checks"][2] == {
        "check": "topic [in]",
        "verdict": "fail",
        "found": "missing",
        "expected": "exists",
        "consequence": "missing",
        "remedy": "create it",
    }


def test_warnings_do_not_fail() -> None:
    assert find_exit_code(FINDINGS[:2]) == 0
    assert find_exit_code(FINDINGS) == 2


def test_the_check_takes_every_setting_of_the_job() -> None:
    options = ["--input-topic", "a", "--expected-outage", "12", "--format", "json"]

    settings = load_settings(CheckSettings, options, {"SCORE_OUTPUT_TOPIC": "b"})

    assert (settings.input_topic, settings.output_topic) == ("a", "b")
    assert (settings.expected_outage, settings.format) == (12.0, "json")
    assert ScoreStreamSettings.model_fields.keys() < CheckSettings.model_fields.keys()


@pytest.mark.parametrize(
    ("ahead_s", "within_s", "lease_s", "severity"),
    [
        (0.2, 0.1, 30, "OK"),
        (-29.0, 0.1, 30, "OK"),
        (-31.0, 0.1, 30, "WARNING"),
        (31.0, 2.0, 30, "OK"),
        (6.0, 0.5, 0, "WARNING"),
        (3700.0, 1.0, 30, "ERROR"),
        (-3700.0, 1.0, 30, "WARNING"),
    ],
)
def test_the_clock_may_differ_by_a_lease(
    ahead_s: float, within_s: float, lease_s: float, severity: str
) -> None:
    assert judge_clock(ClockDifference(ahead_s, within_s), lease_s).severity.name == severity


def test_a_clock_that_is_behind_is_told_with_its_consequence() -> None:
    found = judge_clock(ClockDifference(-90.0, 0.05), 30.0)

    assert (found.found, found.expected) == (
        "90.0 s behind the brokers', ± 0.1 s",
        "within 30 s of the brokers'",
    )
    assert found.hint == "set the clock, and keep it right with NTP"


@pytest.mark.parametrize(
    ("found", "severity", "text"),
    [
        (None, "OK", "/cp: none yet"),
        (CheckpointPosition(7, {0: 5}, True), "OK", "/cp: batch 7 is next"),
        (CheckpointDamage("/cp/offsets/3 is empty"), "WARNING", "damaged: /cp/offsets/3 is empty"),
    ],
)
def test_a_checkpoint_is_told_by_its_next_batch(
    found: CheckpointFinding, severity: str, text: str
) -> None:
    judged = judge_position("/cp", found)

    assert (judged.severity.name, judged.found) == (severity, text)


def test_space_and_the_version_of_spark_are_compared() -> None:
    package = "org.apache.spark:spark-sql-kafka-0-10_2.13:4.2.0"

    assert judge_space("disk", "/cp", 1024**3).severity is Severity.OK
    assert judge_space("disk", "/cp", 1024**3 - 1).severity is Severity.WARNING
    assert judge_spark("4.2.0", package).severity is Severity.OK
    assert judge_spark("4.1.1", package).hint == "install pyspark 4.2.0, or run `make setup`"


def test_a_file_that_cannot_be_read_is_a_row_too(tmp_path: Path) -> None:
    examination = Examination()

    assert not examination.passes("model", lambda: (tmp_path / "none").read_text(), "a model")

    (found,) = examination.findings
    assert (found.check, found.severity) == ("model", Severity.ERROR)
    assert found.found == f"{tmp_path}/none: No such file or directory"


def test_a_place_without_java_is_told_so_and_the_other_checks_are_made(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("JAVA_HOME", "/no/java")
    examination = Examination()

    check_place(examination)

    verdicts = {it.check: it.severity.name for it in examination.findings}
    assert verdicts == {
        "program": "OK",
        "Python": "OK",
        "Java": "ERROR",
        "Spark": "OK",
        "user": "OK",
        "loopback interface": "OK",
    }
