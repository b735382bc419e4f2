from __future__ import annotations

import json

import pytest

from benchmarks.report import (
    Run,
    format_json,
    format_markdown,
    format_table,
    summarise,
)
from benchmarks.rounds import Spread


def run(contestant: str, number: int, rate: float | None, failure: str | None = None) -> Run:
    return Run(
        contestant=contestant,
        round=number,
        records=1_000,
        failure=failure,
        rate=rate,
        late_rate=rate and rate * 1.5,
        first_s=10.0 + number,
        finish_s=20.0,
        wall_s=22.0,
        peak_bytes=number * 2**30,
        cpu_s=30.0,
        predictions=1_000,
        dead_letters=0,
    )


RUNS = [
    run("exactly-once/sklearn", 1, 50_000.0),
    run("at-least-once/sklearn", 1, 40_000.0),
    run("hand-loop/sklearn", 1, 80_000.0),
    # In this round the machine was half as fast.
    run("hand-loop/sklearn", 2, 40_000.0),
    run("at-least-once/sklearn", 2, 25_000.0),
    run("exactly-once/sklearn", 2, 25_000.0),
]


def test_rows_come_in_the_order_of_the_contestants() -> None:
    assert [row.contestant for row in summarise(RUNS)] == [
        "exactly-once/sklearn",
        "at-least-once/sklearn",
        "hand-loop/sklearn",
    ]


def test_a_row_holds_median_and_extremes_over_the_rounds() -> None:
    row = summarise(RUNS)[0]

    assert row.guarantee == "exactly-once"
    assert row.backend == "sklearn"
    assert row.rate == Spread(37_500.0, 25_000.0, 50_000.0)
    assert row.late_rate == Spread(56_250.0, 37_500.0, 75_000.0)
    assert row.first_s == Spread(11.5, 11.0, 12.0)
    assert row.whole_rate == Spread(50.0, 50.0, 50.0)
    assert row.peak_bytes == 2 * 2**30


def test_ratios_are_taken_within_a_round() -> None:
    exactly_once, at_least_once, loop = summarise(RUNS)

    assert exactly_once.rate_to_at_least_once == Spread(1.125, 1.0, 1.25)
    assert exactly_once.rate_to_loop == Spread(0.625, 0.625, 0.625)
    assert at_least_once.rate_to_at_least_once is None
    assert at_least_once.rate_to_loop == Spread(0.5625, 0.5, 0.625)
    assert loop.rate_to_loop is None


def test_a_failed_run_counts_for_nothing_but_is_counted() -> None:
    row, *_ = summarise([*RUNS[:3], run("exactly-once/sklearn", 2, 1.0, "found 999 messages")])

    assert row.failed == 1
    assert row.rate == Spread(50_000.0, 50_000.0, 50_000.0)


def test_a_row_of_failures_only_has_no_figures() -> None:
    (row,) = summarise([run("hand-loop/sklearn", 1, 1.0, "exit code 1")])

    assert (row.failed, row.rate, row.peak_bytes) == (1, None, 0)
    assert format_markdown([row]).splitlines()[-1] == (
        "| exactly-once | sklearn, hand-written loop (1 failed) | – | – | – | – | – |"
    )


def test_a_run_too_short_for_a_rate_leaves_the_rate_open() -> None:
    (row,) = summarise([run("hand-loop/sklearn", 1, None)])

    assert row.rate is None
    assert row.whole_rate == Spread(50.0, 50.0, 50.0)


def test_markdown_has_median_and_range_of_each_row() -> None:
    assert format_markdown(summarise(RUNS)).splitlines() == [
        "| guarantee | backend | records/s | to the sklearn loop | to the ONNX loop"
        " | first record | peak memory |",
        "|---|---|--:|--:|--:|--:|--:|",
        "| exactly-once | sklearn | 37,500 (25,000–50,000) | 0.62 | – | 11.5 (11.0–12.0) s"
        " | 2.0 GiB |",
        "| at-least-once | sklearn | 32,500 (25,000–40,000) | 0.56 (0.50–0.62) | –"
        " | 11.5 (11.0–12.0) s | 2.0 GiB |",
        "| exactly-once | sklearn, hand-written loop | 60,000 (40,000–80,000) | – | –"
        " | 11.5 (11.0–12.0) s | 2.0 GiB |",
    ]


def test_the_table_is_read_at_80_columns() -> None:
    assert format_table(summarise(RUNS)).splitlines() == [
        "contestant                          records/s  to ONNX loop   to sklearn loop",
        "─────────────────────  ──────────────────────  ────────────  ────────────────",
        "exactly-once/sklearn   37,500 (25,000–50,000)             –              0.62",
        "at-least-once/sklearn  32,500 (25,000–40,000)             –  0.56 (0.50–0.62)",
        "hand-loop/sklearn      60,000 (40,000–80,000)             –                 –",
        "",
        "contestant             to at-least-once  with start-up        first record",
        "─────────────────────  ────────────────  ─────────────  ──────────────────",
        "exactly-once/sklearn   1.12 (1.00–1.25)             50  11.5 (11.0–12.0) s",
        "at-least-once/sklearn                 –             50  11.5 (11.0–12.0) s",
        "hand-loop/sklearn                     –             50  11.5 (11.0–12.0) s",
        "",
        "contestant             peak memory",
        "─────────────────────  ───────────",
        "exactly-once/sklearn       2.0 GiB",
        "at-least-once/sklearn      2.0 GiB",
        "hand-loop/sklearn          2.0 GiB",
    ]


def test_json_holds_conditions_rows_and_every_run() -> None:
    rows = summarise(RUNS)
    report = json.loads(format_json({"machine": {"cores": 2}}, rows, RUNS))

    assert report["machine"] == {"cores": 2}
    assert len(report["runs"]) == 6
    assert report["runs"][0]["contestant"] == "exactly-once/sklearn"
    assert report["rows"][0]["rate_to_at_least_once"]["median"] == pytest.approx(1.125)
    assert report["rows"][2]["rate_to_loop"] is None
