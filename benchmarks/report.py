"""Summarise the runs: rows with medians and ratios, as table, Markdown and JSON.

This module is pure.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from rich.table import Table

from benchmarks.contestants import CONTESTANTS, HAND_LOOP, HAND_LOOP_ONNX, Contestant


@dataclass(frozen=True)
class Run:
    """One run of a contestant.

    Attributes:
        contestant: the contestant's name.
        round: the number of the round, from 1.
        failure: the reason why the run does not count; None if it counts.
        rate: the records/s from the end of the first micro-batch to the last record.
        late_rate: the rate of the second half, when compilers have done their work.
        first_s: the seconds from the start of the process to the first record for a reader.
        finish_s: the seconds from the start of the process to the last record.
        wall_s: the seconds from the start of the process to its end.
        peak_bytes: the largest resident memory of all its processes together, sampled.
        cpu_s: the processor time of all its processes, with start-up, sampled.
        predictions, dead_letters: the numbers of messages that a read_committed reader found
            afterwards.
    """

    contestant: str
    round: int
    failure: str | None
    rate: float | None
    late_rate: float | None
    first_s: float | None
    finish_s: float | None
    wall_s: float
    peak_bytes: int
    cpu_s: float
    predictions: int
    dead_letters: int

    def describe(self) -> str:
        """Write the rate, or the reason why there is none."""
        if self.failure is not None:
            return f"FAILED: {self.failure}"
        return "too short for a rate" if self.rate is None else f"{self.rate:>9,.0f} records/s"


@dataclass(frozen=True)
class Spread:
    """A figure over the rounds: median, smallest and largest."""

    median: float
    low: float
    high: float

    @classmethod
    def over(cls, values: Iterable[float | None]) -> Spread | None:
        """Compute the spread of the known values; return None without any."""
        known = [value for value in values if value is not None]
        return cls(median(known), min(known), max(known)) if known else None


@dataclass(frozen=True)
class Row:
    """A contestant over all rounds.

    Attributes:
        contestant: the contestant's name.
        guarantee, backend: the guarantee and the backend of the contestant.
        failed: the number of runs that do not count.
        rate, late_rate: see :class:`Run`.
        rate_to_loop: its rate divided by that of the hand-written loop with scikit-learn in the
            same round.
        rate_to_onnx_loop: its rate divided by that of the hand-written loop with ONNX in the same
            round.
        rate_to_at_least_once: its rate divided by that of the same backend without transactions in
            the same round; for exactly-once only.
        whole_rate: the records/s from the start of the process to the last record.
        first_s: see :class:`Run`.
        peak_bytes: the largest memory of all rounds; see :class:`Run`.
    """

    contestant: str
    guarantee: str
    backend: str
    failed: int
    rate: Spread | None
    late_rate: Spread | None
    rate_to_loop: Spread | None
    rate_to_onnx_loop: Spread | None
    rate_to_at_least_once: Spread | None
    whole_rate: Spread | None
    first_s: Spread | None
    peak_bytes: int


def summarise(runs: Sequence[Run], records: int) -> list[Row]:
    """Build a row for each contestant that ran, in the order of ``CONTESTANTS``."""
    good = {(run.contestant, run.round): run for run in runs if run.failure is None}
    names = {run.contestant for run in runs}
    return [
        _summarise(contestant, runs, good, records)
        for name, contestant in CONTESTANTS.items()
        if name in names
    ]


def _summarise(
    contestant: Contestant,
    runs: Sequence[Run],
    good: Mapping[tuple[str, int], Run],
    records: int,
) -> Row:
    name = contestant.name
    own = [run for run in good.values() if run.contestant == name]
    is_loop = name in (HAND_LOOP, HAND_LOOP_ONNX)
    relaxed = "/".join(("at-least-once", *name.split("/")[1:2]))
    return Row(
        contestant=name,
        guarantee=contestant.guarantee,
        backend=contestant.backend,
        failed=sum(run.contestant == name and run.failure is not None for run in runs),
        rate=Spread.over(run.rate for run in own),
        late_rate=Spread.over(run.late_rate for run in own),
        rate_to_loop=_compare_unless_same(name, own, good, HAND_LOOP),
        rate_to_onnx_loop=_compare_unless_same(name, own, good, HAND_LOOP_ONNX),
        rate_to_at_least_once=None if is_loop else _compare_unless_same(name, own, good, relaxed),
        whole_rate=Spread.over(run.finish_s and records / run.finish_s for run in own),
        first_s=Spread.over(run.first_s for run in own),
        peak_bytes=max((run.peak_bytes for run in own), default=0),
    )


def _compare_unless_same(
    name: str, own: Iterable[Run], good: Mapping[tuple[str, int], Run], other: str
) -> Spread | None:
    return None if name == other else _compare(own, good, other)


def _compare(own: Iterable[Run], good: Mapping[tuple[str, int], Run], other: str) -> Spread | None:
    """Compute ratios within each round, because a slow machine slows both runs of a round."""
    pairs = ((run, good.get((other, run.round))) for run in own)
    return Spread.over(
        run.rate / against.rate
        for run, against in pairs
        if run.rate and against is not None and against.rate
    )


_HEADINGS = (
    *("guarantee", "backend", "records/s", "min–max", "to sklearn loop", "to ONNX loop"),
    *("to at-least-once", "with start-up", "first record", "peak memory"),
)


def list_cells(row: Row) -> tuple[str, ...]:
    """Write a row as text, in the order of the table's columns."""
    return (
        row.guarantee,
        row.backend + (f" ({row.failed} failed)" if row.failed else ""),
        f"{row.rate.median:,.0f}" if row.rate else "–",
        f"{row.rate.low:,.0f}–{row.rate.high:,.0f}" if row.rate else "–",
        f"{row.rate_to_loop.median:.2f}" if row.rate_to_loop else "–",
        f"{row.rate_to_onnx_loop.median:.2f}" if row.rate_to_onnx_loop else "–",
        f"{row.rate_to_at_least_once.median:.2f}" if row.rate_to_at_least_once else "–",
        f"{row.whole_rate.median:,.0f}" if row.whole_rate else "–",
        f"{row.first_s.median:.1f} s" if row.first_s else "–",
        f"{row.peak_bytes / 2**30:.1f} GiB",
    )


def build_table(rows: Sequence[Row]) -> Table:
    """Build the table for the terminal."""
    table = Table()
    for position, heading in enumerate(_HEADINGS):
        table.add_column(heading, justify="left" if position < 2 else "right")
    for row in rows:
        table.add_row(*list_cells(row))
    return table


def format_markdown(rows: Sequence[Row]) -> str:
    """Write the table for documents."""
    rule = ["---", "---", *["--:"] * (len(_HEADINGS) - 2)]
    lines = [_HEADINGS, rule, *(list_cells(row) for row in rows)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def format_json(conditions: Mapping[str, Any], rows: Sequence[Any], runs: Sequence[Any]) -> str:
    """Return everything as JSON.

    Args:
        conditions: machine, versions and settings.
        rows: the rows of the table; dataclasses, like the runs.
        runs: the runs from which the rows come, failed ones too.
    """
    report = {
        **conditions,
        "rows": [asdict(row) for row in rows],
        "runs": [asdict(run) for run in runs],
    }
    return json.dumps(report, indent=2, ensure_ascii=False) + "\n"
