"""Summarise latencies over rounds: medians, ranges and ratios to the hand-written loop.

This module is pure. ``.venv/bin/python -m benchmarks.latency_report docs/results/NAME.json`` prints
the tables of a stored report of ``make bench-latency`` for a document.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks import tables
from benchmarks.delays import Latency
from benchmarks.loads import name_load
from benchmarks.rounds import NOTHING, Spread, restore, show

LOOP = "hand-loop"
_FIGURES = ("p50_ms", "p99_ms", "p999_ms")


@dataclass(frozen=True)
class LatencyRun:
    """The result of one run of a contestant.

    Attributes:
        contestant: its name.
        load: the rate as the settings give it.
        round: the number of the round, from 1.
        rate: the records per second that it was offered; None if they are above what it can do, and
            then it did not run.
        failure: the reason why the run does not count; None if it counts.
        batch_ms: the mean time from the end of one batch to the end of the next, over the hundred
            batches that the checkpoint keeps; None where fewer than two ended.
        repeated: the number of answers to records that had an answer already.
        overall: the delays of all records that were measured; None without a run.
        away: the delays of records due away from batch boundaries; None for all but real-time mode:
            micro-batches have boundaries all the time.
    """

    contestant: str
    load: str
    round: int
    rate: float | None
    failure: str | None
    batch_ms: float | None = None
    repeated: int = 0
    overall: Latency | None = None
    away: Latency | None = None

    def describe(self) -> str:
        """Write the figures in a line, or the reason why there are none."""
        if self.failure is not None:
            return f"FAILED: {self.failure}"
        if self.rate is None or self.overall is None:
            return "left out, because it is above the contestant's maximum"
        figures = (self.overall.p50_ms, self.overall.p99_ms, self.overall.p999_ms)
        p50, p99, p999 = (NOTHING if ms is None else f"{ms:,.0f}" for ms in figures)
        return f"p50 {p50}, p99 {p99}, p99.9 {p999} ms at {self.rate:,.0f} records/s"


@dataclass(frozen=True)
class LatencyRow:
    """A contestant under one load, over all rounds.

    Attributes:
        load: the rate as the settings give it.
        contestant: the contestant's name.
        failed: the number of runs that do not count.
        rate: the records per second that it was offered.
        p50_ms, p99_ms, p999_ms, max_ms: see :class:`benchmarks.delays.Latency`.
        p50_to_loop, p99_to_loop, p999_to_loop: these, divided by those of the hand-written loop
            under the same load in the same round.
        batch_ms: see :class:`LatencyRun`.
        away_p50_ms, away_p99_ms, away_max_ms: those of records away from batch boundaries.
    """

    load: str
    contestant: str
    failed: int
    rate: float | None
    p50_ms: Spread | None
    p99_ms: Spread | None
    p999_ms: Spread | None
    max_ms: Spread | None
    p50_to_loop: Spread | None
    p99_to_loop: Spread | None
    p999_to_loop: Spread | None
    batch_ms: Spread | None
    away_p50_ms: Spread | None
    away_p99_ms: Spread | None
    away_max_ms: Spread | None


def summarise(runs: Sequence[LatencyRun]) -> list[LatencyRow]:
    """Build a row for each contestant under each load, in the order of their first runs."""
    pairs = dict.fromkeys((run.load, run.contestant) for run in runs)
    loads = dict.fromkeys(load for load, _ in pairs)
    return [
        _summarise(load, name, [run for run in runs if run.load == load])
        for load in loads
        for name in (name for other, name in pairs if other == load)
    ]


def _summarise(load: str, name: str, runs: Sequence[LatencyRun]) -> LatencyRow:
    own = [run for run in runs if run.contestant == name]
    good = [run for run in own if run.failure is None]
    loops = {
        run.round: run.overall for run in runs if run.contestant == LOOP and run.failure is None
    }

    def spread(figure: str, kind: str = "overall") -> Spread | None:
        return Spread.over(_read(getattr(run, kind), figure) for run in good)

    def compare(figure: str) -> Spread | None:
        if name == LOOP:
            return None
        return Spread.over_ratios(
            (_read(run.overall, figure), _read(loops.get(run.round), figure)) for run in good
        )

    p50, p99, p999 = (compare(figure) for figure in _FIGURES)
    return LatencyRow(
        load=load,
        contestant=name,
        failed=len(own) - len(good),
        rate=next((run.rate for run in own), None),
        p50_ms=spread("p50_ms"),
        p99_ms=spread("p99_ms"),
        p999_ms=spread("p999_ms"),
        max_ms=spread("max_ms"),
        p50_to_loop=p50,
        p99_to_loop=p99,
        p999_to_loop=p999,
        batch_ms=Spread.over(run.batch_ms for run in good),
        away_p50_ms=spread("p50_ms", "away"),
        away_p99_ms=spread("p99_ms", "away"),
        away_max_ms=spread("max_ms", "away"),
    )


def _read(latency: Latency | None, figure: str) -> float | None:
    value: float | None = None if latency is None else getattr(latency, figure)
    return value


_COLUMNS = {
    "p50 ms": "p50_ms",
    "p99 ms": "p99_ms",
    "p99.9 ms": "p999_ms",
    "p50 to loop": "p50_to_loop",
    "p99 to loop": "p99_to_loop",
    "p99.9 to loop": "p999_to_loop",
    "max ms": "max_ms",
    "a batch ms": "batch_ms",
}
_AWAY_COLUMNS = {"p50 ms *": "away_p50_ms", "p99 ms *": "away_p99_ms", "max ms *": "away_max_ms"}
_AWAY_NOTE = "* away from batch boundaries"


def format_tables(rows: Sequence[LatencyRow], width: int = tables.WIDTH) -> str:
    """Write a table for each load, for a terminal of this width or a file."""
    return "\n\n".join(
        f"{title}\n\n{tables.lay_out(headings, lines, width)}" + (f"\n\n{note}" if note else "")
        for title, note, headings, lines in _list_tables(rows)
    )


def format_markdown(rows: Sequence[LatencyRow]) -> str:
    """Write a table for each load, for documents."""
    return "\n\n".join(
        f"{title}:\n\n{tables.format_markdown(headings, lines)}" + (f"\n\n{note}" if note else "")
        for title, note, headings, lines in _list_tables(rows)
    )


def _list_tables(
    rows: Sequence[LatencyRow],
) -> Iterator[tuple[str, str, tuple[str, ...], list[tuple[str, ...]]]]:
    """Yield title, note, headings and lines of the table of each load."""
    for load in dict.fromkeys(row.load for row in rows):
        own = [row for row in rows if row.load == load]
        is_away = any(row.away_p50_ms for row in own)
        columns = {**_COLUMNS, **(_AWAY_COLUMNS if is_away else {})}
        headings = ("contestant", "records/s", *columns)
        lines = [_list_cells(row, columns) for row in own]
        yield name_load(load), _AWAY_NOTE if is_away else "", headings, lines


def _list_cells(row: LatencyRow, columns: Mapping[str, str]) -> tuple[str, ...]:
    return (
        row.contestant + (f" ({row.failed} failed)" if row.failed else ""),
        "too many" if row.rate is None else f"{row.rate:,.0f}",
        *(
            show(getattr(row, figure), ",.1f" if figure.endswith("_to_loop") else ",.0f")
            for figure in columns.values()
        ),
    )


if __name__ == "__main__":
    stored = json.loads(Path(sys.argv[1]).read_text())
    print(format_markdown([restore(LatencyRow, row) for row in stored["rows"]]))
