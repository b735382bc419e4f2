"""Summarise the runs: rows with medians, ranges and ratios, as table, Markdown and JSON.

This module is pure. ``.venv/bin/python -m benchmarks.report docs/results/NAME.json`` prints the
table of a stored report of ``make bench`` for a document.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks import tables
from benchmarks.contestants import CONTESTANTS, HAND_LOOP, HAND_LOOP_ONNX, Contestant
from benchmarks.rounds import NOTHING, Spread, restore, show


@dataclass(frozen=True)
class Run:
    """One run of a contestant.

    Attributes:
        contestant: the contestant's name.
        round: the number of the round, from 1.
        records: the number of records in its topic.
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
    records: int
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


def summarise(runs: Sequence[Run]) -> list[Row]:
    """Build a row for each contestant that ran, in the order of ``CONTESTANTS``."""
    good = {(run.contestant, run.round): run for run in runs if run.failure is None}
    names = {run.contestant for run in runs}
    return [
        _summarise(contestant, runs, good)
        for name, contestant in CONTESTANTS.items()
        if name in names
    ]


def _summarise(
    contestant: Contestant, runs: Sequence[Run], good: Mapping[tuple[str, int], Run]
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
        whole_rate=Spread.over(run.finish_s and run.records / run.finish_s for run in own),
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
    return Spread.over_ratios(
        (run.rate, against.rate) for run, against in pairs if against is not None
    )


_HEADINGS = (
    *("contestant", "records/s", "to ONNX loop", "to sklearn loop"),
    *("to at-least-once", "with start-up", "first record", "peak memory"),
)
_DOCUMENT_HEADINGS = (
    *("guarantee", "backend", "records/s", "to the sklearn loop", "to the ONNX loop"),
    *("first record", "peak memory"),
)


def list_cells(row: Row) -> tuple[str, ...]:
    """Write a row as text, in the order of the table's columns."""
    return (
        row.contestant + _count_failed(row),
        show(row.rate, ",.0f"),
        show(row.rate_to_onnx_loop, ".2f"),
        show(row.rate_to_loop, ".2f"),
        show(row.rate_to_at_least_once, ".2f"),
        show(row.whole_rate, ",.0f"),
        show(row.first_s, ".1f", " s"),
        _format_memory(row),
    )


def _list_document_cells(row: Row) -> tuple[str, ...]:
    return (
        row.guarantee,
        row.backend + _count_failed(row),
        show(row.rate, ",.0f"),
        show(row.rate_to_loop, ".2f"),
        show(row.rate_to_onnx_loop, ".2f"),
        show(row.first_s, ".1f", " s"),
        _format_memory(row),
    )


def _count_failed(row: Row) -> str:
    return f" ({row.failed} failed)" if row.failed else ""


def _format_memory(row: Row) -> str:
    return f"{row.peak_bytes / 2**30:.1f} GiB" if row.peak_bytes else NOTHING


def format_table(rows: Sequence[Row], width: int = tables.WIDTH) -> str:
    """Write the table for a terminal of this width, or a file."""
    return tables.lay_out(_HEADINGS, [list_cells(row) for row in rows], width)


def format_markdown(rows: Sequence[Row]) -> str:
    """Write the table for documents."""
    lines = [_list_document_cells(row) for row in rows]
    return tables.format_markdown(_DOCUMENT_HEADINGS, lines, texts=2)


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


if __name__ == "__main__":
    stored = json.loads(Path(sys.argv[1]).read_text())
    print(format_markdown([restore(Row, row) for row in stored["rows"]]))
