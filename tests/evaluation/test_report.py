"""The report and its summary say what was found, with cohorts apart from each other."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime
from io import StringIO

import numpy as np
import pytest
from rich.console import Console

from lib.evaluation.baseline import Baseline
from lib.evaluation.cells import COMPLETE, RECENT, VERSION, WEEK, Cell, OutcomeCounts
from lib.evaluation.definition import Definition, Status
from lib.evaluation.findings import Findings, Reading, build_parts
from lib.evaluation.quality import Counts, Estimate, Quality, measure
from lib.evaluation.report.console import build_tables, describe_findings
from lib.evaluation.report.report import spell, write_report

OLD, NEW = date(2026, 3, 2), date(2026, 5, 25)
DEFINITION = Definition(datetime(2026, 6, 1, tzinfo=UTC))
CELLS = (
    Cell("m@1", OLD, Status.LABELLED, False, 1, 4, 600),
    Cell("m@1", OLD, Status.LABELLED, True, 3, 4, 200),
    Cell("m@1", OLD, Status.UNLABELLED, False, None, 4, 200),
    Cell("m@2", NEW, Status.LABELLED, False, 0, 1, 30),
    Cell("m@2", NEW, Status.UNLABELLED, False, None, 1, 70),
)


def measure_part(dimension: str, value: str) -> Quality:
    """Measure 800 rows for what has labels enough, and 30 positives for the newest week."""
    if (dimension, value) in ((VERSION, "m@2"), (WEEK, NEW.isoformat()), (RECENT, "m@1")):
        zeros = np.zeros(30, np.int64)
        return measure(Counts(zeros + 700_000, np.arange(30) % 20, zeros + 1, zeros))
    numbers = np.arange(800)
    positives = ((numbers * 7) % 10 < numbers // 100).astype(np.int64)
    return measure(Counts(numbers * 1_000, numbers % 20, positives, 1 - positives))


@pytest.fixture(scope="module")
def findings() -> Findings:
    parts = build_parts(CELLS, DEFINITION, measure_part, lambda _: Baseline(0.99, 0.001, None))
    outcomes = OutcomeCounts(900, 890, 3, 5, 7)
    refused = {"prediction": Counter[str](), "outcome": Counter(no_json=2)}
    reading = Reading(1_100, 900, 40, 2, 0)
    return Findings("Churn", "Yes", DEFINITION, reading, outcomes, refused, **parts)


def test_only_complete_weeks_judge_a_version(findings: Findings) -> None:
    assert [it.name for it in findings.versions] == ["m@1"]
    assert (findings.all.predictions, findings.complete.predictions) == (1_100, 1_000)
    assert findings.all.late == 200
    assert findings.complete.unlabelled_share == 0.2
    assert [(it.name, findings.is_complete(it)) for it in findings.weeks] == [
        ("2026-03-02", True),
        ("2026-05-25", False),
    ]
    assert findings.weeks[1].unlabelled_share == 0.7
    assert findings.recent == []  # its weeks are older than four


def test_ages_say_how_many_had_no_label_by_then(findings: Findings) -> None:
    assert [(it.name, it.old_enough, it.unlabelled_share) for it in findings.ages] == [
        ("1 to 7 days", 1_000, 0.4),
        ("30 to 90 days", 1_000, 0.2),
    ]


def test_recent_weeks_are_compared_with_the_training() -> None:
    definition = Definition(datetime(2026, 4, 20, tzinfo=UTC))
    quality = measure_part(COMPLETE, "")
    parts = build_parts(
        CELLS, definition, lambda *_: quality, lambda _: Baseline(0.99, 0.001, None)
    )

    (recent,) = parts["recent"]
    assert (recent.part.name, recent.is_below) == ("m@1", True)


def test_the_report_keeps_cohorts_apart(findings: Findings) -> None:
    files = write_report(findings)
    text = files["report.md"].decode()

    complete, _, coming = text.partition("Weeks whose labels are still coming.")
    assert "| 2026-03-02 | 1,000 | 800 | 20.0% |" in complete
    assert "| 2026-05-25 |" not in complete
    assert "| 2026-05-25 | 100 | 30 | 70.0% | 100.0% (88.6–\u2060100.0) | – | – | – | – |" in coming
    assert "| malformed outcome: no\\_json | 2 |" in text
    assert "| · · of them late | 200 |" in text
    assert files["report.html"].decode().count("<svg") == 2


def test_the_console_has_80_columns(findings: Findings) -> None:
    console = Console(width=80, record=True, file=StringIO())
    for table in build_tables(findings):
        console.print(table)
    console.print(describe_findings(findings), soft_wrap=True)

    lines = console.export_text().splitlines()
    assert max(map(len, lines)) <= 80
    assert any(it.split()[:4] == ["2026-05-25", "*", "100", "70.0%"] for it in lines)
    assert "counted      late 200, double 10, contradicting 3, unknown 5" in lines


def test_the_summary_is_what_the_scoring_job_reads(findings: Findings) -> None:
    found = findings.to_json()

    assert found["all"]["statuses"]["unlabelled"] == 270
    assert found["outcomes"]["doubles"] == 10
    assert [it["is_complete"] for it in found["weeks"]] == [True, False]
    assert found["recent"] == []


@pytest.mark.parametrize(
    ("estimate", "percent", "text"),
    [
        (None, False, "–"),
        (Estimate(0.81234), False, "0.812"),
        (Estimate(0.81234, 0.79, 0.835), False, "0.812 (0.790–\u20600.835)"),
        (Estimate(0.12, 0.111, 0.129), True, "12.0% (11.1–\u206012.9)"),
    ],
)
def test_figures_are_spelled_with_their_intervals(
    estimate: Estimate | None, percent: bool, text: str
) -> None:
    assert spell(estimate, percent=percent) == text
