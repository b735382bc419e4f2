from __future__ import annotations

import json
from dataclasses import asdict

from benchmarks.delays import Latency
from benchmarks.latency_report import (
    LatencyRow,
    LatencyRun,
    format_markdown,
    format_tables,
    summarise,
)
from benchmarks.rounds import Spread, restore


def run(contestant: str, number: int, *ms: float, load: str = "1000") -> LatencyRun:
    return LatencyRun(contestant, load, number, 1_000.0, None, overall=Latency(60_000, *ms))


RUNS = [
    run("exactly-once", 1, 150.0, 300.0, 400.0, 500.0),
    run("hand-loop", 1, 20.0, 100.0, 200.0, 250.0),
    # In this round the machine was half as fast.
    run("hand-loop", 2, 40.0, 200.0, 400.0, 500.0),
    run("exactly-once", 2, 280.0, 500.0, 880.0, 900.0),
    run("exactly-once", 3, 130.0, 250.0, 390.0, 410.0),
    run("hand-loop", 3, 20.0, 50.0, 100.0, 110.0),
]


def test_a_row_has_the_median_and_the_range_of_the_rounds() -> None:
    job, loop = summarise(RUNS)

    assert (job.contestant, job.load, job.rate) == ("exactly-once", "1000", 1_000.0)
    assert job.p50_ms == Spread(150.0, 130.0, 280.0)
    assert job.p99_ms == Spread(300.0, 250.0, 500.0)
    assert job.p999_ms == Spread(400.0, 390.0, 880.0)
    assert job.max_ms == Spread(500.0, 410.0, 900.0)
    assert loop.p99_ms == Spread(100.0, 50.0, 200.0)


def test_ratios_are_taken_within_a_round() -> None:
    job, loop = summarise(RUNS)

    assert job.p50_to_loop == Spread(7.0, 6.5, 7.5)
    assert job.p99_to_loop == Spread(3.0, 2.5, 5.0)
    assert job.p999_to_loop == Spread(2.2, 2.0, 3.9)
    assert loop.p50_to_loop is None


def test_ratios_are_taken_under_the_same_load() -> None:
    faster = [
        run("exactly-once", 1, 600.0, 900.0, 900.0, 900.0, load="50%"),
        run("hand-loop", 1, 60.0, 300.0, 900.0, 900.0, load="50%"),
    ]

    rows = summarise([*RUNS[:2], *faster])

    assert [(row.load, row.contestant) for row in rows] == [
        ("1000", "exactly-once"),
        ("1000", "hand-loop"),
        ("50%", "exactly-once"),
        ("50%", "hand-loop"),
    ]
    assert rows[0].p50_to_loop == Spread(7.5, 7.5, 7.5)
    assert rows[2].p50_to_loop == Spread(10.0, 10.0, 10.0)
    assert rows[2].p99_to_loop == Spread(3.0, 3.0, 3.0)


def test_a_failed_run_counts_for_nothing_but_is_counted() -> None:
    failed = LatencyRun(
        "hand-loop", "1000", 2, 1_000.0, "3 records lost", overall=Latency(9, 1.0, 1.0, 1.0, 1.0)
    )

    job, loop = summarise([*RUNS[:2], failed, RUNS[3]])

    assert (loop.failed, loop.p50_ms) == (1, Spread(20.0, 20.0, 20.0))
    # The second round has no loop to compare with.
    assert job.p50_ms == Spread(215.0, 150.0, 280.0)
    assert job.p50_to_loop == Spread(7.5, 7.5, 7.5)
    assert failed.describe() == "FAILED: 3 records lost"


def test_who_cannot_do_a_rate_has_a_row_without_figures() -> None:
    left_out = LatencyRun("quix-streams", "10000", 1, None, None)

    (row,) = summarise([left_out])

    assert (row.failed, row.rate, row.p50_ms) == (0, None, None)
    assert left_out.describe() == "left out, because it is above the contestant's maximum"
    assert format_markdown([row]).splitlines()[-1] == (
        "| quix-streams | too many | – | – | – | – | – | – | – | – |"
    )


def test_a_run_is_described_in_a_line() -> None:
    assert RUNS[0].describe() == "p50 150, p99 300, p99.9 400 ms at 1,000 records/s"


def test_each_load_has_a_table_that_is_read_at_80_columns() -> None:
    assert format_tables(summarise(RUNS)).splitlines() == [
        "1,000 records/s",
        "",
        "contestant    records/s         p50 ms         p99 ms       p99.9 ms",
        "────────────  ─────────  ─────────────  ─────────────  ─────────────",
        "exactly-once      1,000  150 (130–280)  300 (250–500)  400 (390–880)",
        "hand-loop         1,000     20 (20–40)   100 (50–200)  200 (100–400)",
        "",
        "contestant      p50 to loop    p99 to loop  p99.9 to loop         max ms",
        "────────────  ─────────────  ─────────────  ─────────────  ─────────────",
        "exactly-once  7.0 (6.5–7.5)  3.0 (2.5–5.0)  2.2 (2.0–3.9)  500 (410–900)",
        "hand-loop                 –              –              –  250 (110–500)",
        "",
        "contestant    a batch ms",
        "────────────  ──────────",
        "exactly-once           –",
        "hand-loop              –",
    ]


def test_real_time_mode_is_also_shown_away_from_boundaries() -> None:
    real_time = LatencyRun(
        "real-time",
        "1000",
        1,
        1_000.0,
        None,
        batch_ms=15_000.0,
        overall=Latency(60_000, 1.0, 300.0, 400.0, 500.0),
        away=Latency(50_000, 1.0, 8.0, 20.0, 24.0),
    )

    text = format_markdown(summarise([real_time]))

    assert text.splitlines() == [
        "1,000 records/s:",
        "",
        "| contestant | records/s | p50 ms | p99 ms | p99.9 ms | p50 to loop | p99 to loop"
        " | p99.9 to loop | max ms | a batch ms | p50 ms * | p99 ms * | max ms * |",
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|",
        "| real-time | 1,000 | 1 | 300 | 400 | – | – | – | 500 | 15,000 | 1 | 8 | 24 |",
        "",
        "* away from batch boundaries",
    ]


def test_a_stored_row_is_read_back() -> None:
    rows = summarise(RUNS)

    stored = json.loads(json.dumps([asdict(row) for row in rows]))

    assert [restore(LatencyRow, row) for row in stored] == rows
