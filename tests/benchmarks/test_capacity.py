"""The arithmetic of docs/scaling.md is right, and the document has its numbers."""

from __future__ import annotations

import json
import re

import pytest

from benchmarks.batch_parts import Parts, describe, split_batches
from benchmarks.capacity import (
    CapacitySettings,
    Layout,
    estimate,
    format_rows,
    join_in_turn,
    print_table,
)
from lib.errors import ScoringError
from lib.exactly_once.transaction.settings import TransactionSettings
from tests.docs.documents import ROOT, read_document

DOCUMENT, MEASURED = "docs/scaling.md", "docs/measured.md"
RATES = {"scoring_per_s": 30_000.0, "commit_per_s": 150_000.0}


def test_parts_that_run_in_turn_add_their_times() -> None:
    assert round(join_in_turn(50_000, 300_000)) == 42_857
    assert join_in_turn(30_000, 150_000) == pytest.approx(25_000)
    assert join_in_turn(30_000) == pytest.approx(30_000)


@pytest.mark.parametrize(
    ("layout", "cores", "commit_share", "markers_per_s", "connections_per_s"),
    [
        # Scoring a record may take 1/50,000 - 1/150,000 s: 75,000/s, which 2.5 cores do.
        (Layout(50_000), 3, 1 / 3, 1.2, 0),
        (Layout(100_000), 10, 2 / 3, 2.2, 0),
        (Layout(500_000, queries=8), 32, 62_500 / 150_000, 81.6, 0),
        (Layout(500_000, "executor"), 20, 1 / 6, 510, 110),
        # There are 1,000 transactions in 5 s, each with 1,001 markers and connections to 210
        # brokers.
        (Layout(10_000_000, "executor", queries=10), 400, 1 / 6, 200_200, 42_000),
        # For each partition, 300,000 messages of 200 bytes are one part of 64 MiB, 600,000 are two.
        (Layout(10_000_000, "executor", queries=10, batch_s=30), 400, 1 / 6, 33_366.67, 7_000),
        (Layout(10_000_000, "executor", queries=10, batch_s=60), 400, 1 / 6, 33_366.67, 3_500),
    ],
)
def test_what_a_rate_takes(
    layout: Layout,
    cores: int,
    commit_share: float,
    markers_per_s: float,
    connections_per_s: float,
) -> None:
    found = estimate(layout, **RATES)

    assert found.cores == cores
    assert found.commit_share == pytest.approx(commit_share)
    assert found.markers_per_s == pytest.approx(markers_per_s)
    assert found.connections_per_s == pytest.approx(connections_per_s)


@pytest.mark.parametrize("layout", [Layout(150_000), Layout(600_000, queries=4)])
def test_a_driver_that_only_commits_has_no_time_to_score(layout: Layout) -> None:
    with pytest.raises(ValueError, match="a query of 150,000 records/s has no time left to score"):
        estimate(layout, **RATES)


def test_the_table_of_the_document_is_what_the_arithmetic_gives() -> None:
    text = read_document(DOCUMENT)

    # To bring the document up to date, run .venv/bin/python -m benchmarks.capacity
    assert "\n".join(format_rows(**RATES)) in text


def test_the_table_can_be_printed_for_other_rates(capsys: pytest.CaptureFixture[str]) -> None:
    assert print_table(CapacitySettings(scoring_per_s=50_000, commit_per_s=300_000)) == 0

    printed = capsys.readouterr().out.splitlines()
    assert printed[2].startswith("| 100,000 | one driver | 3 | 33 % | 10 |")


def test_what_the_arithmetic_assumes_of_the_sink_is_its_default() -> None:
    from benchmarks.capacity import _PART_BYTES

    assert TransactionSettings("", "", "").part_bytes == _PART_BYTES


def test_the_measured_row_is_that_of_the_report() -> None:
    report = json.loads((ROOT / "docs" / "results" / "batch-parts.json").read_text())
    parts = Parts(**report["parts"])
    row = (
        f"| {parts.records_per_s:,.0f} | {parts.scoring_per_s:,.0f} | {parts.commit_per_s:,.0f} |"
        f" {parts.commit_s / parts.duration_s:.0%} |".replace("% |", " % |")
    )

    assert row in read_document(MEASURED)


def line(time: str, records: int, ms: int) -> str:
    written = json.dumps({"out": records - 2, "dead": 2})
    return (
        f"2026-11-30 10:00:{time} INFO lib.exactly_once.sink batch=1 written={written}"
        f" already_written=0 duration_ms={ms}\n"
    )


def test_the_parts_of_batches_are_read_from_the_jobs_log() -> None:
    log = (
        "batch 0: 100 records in 9,000 ms\n"
        + line("10,000", 100_000, 2_000)
        + line("11,000", 100_000, 700)
        + "2026-11-30 10:00:11,100 INFO lib.exactly_once.start.query_lease something else\n"
        + line("12,500", 100_000, 500)
        + line("13,500", 50_000, 250)
    )

    parts = split_batches(log)

    assert parts == Parts(records=150_000, duration_s=2.5, commit_s=0.75)
    assert parts.records_per_s == pytest.approx(60_000)
    assert parts.commit_per_s == pytest.approx(200_000)
    assert parts.scoring_per_s == pytest.approx(150_000 / 1.75)
    assert describe(parts)[0] == "150,000 records in 2.5 s: 60,000/s"
    assert re.search("in turn 60,000/s", describe(parts)[1])


def test_a_log_without_batches_is_refused() -> None:
    with pytest.raises(ScoringError, match="shows 0 batches"):
        split_batches("error: nothing\n")
