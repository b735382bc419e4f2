"""Measure how the job's rate and memory grow with backlog, partitions, cores and batches.

    .venv/bin/python -m benchmarks.growth

The usual case has 2,000,000 records in 4 partitions, batches of 100,000 and all cores; one of these
varies at a time, and a backlog always makes at least five batches. The job drains each case exactly
once and is checked as in ``make bench``. With fewer cores, broker, sender and reader have fewer
too, like a machine with fewer cores. This benchmark needs Linux.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from itertools import groupby
from typing import Any

from pydantic import Field
from rich.console import Console

from benchmarks.contestants import CONTESTANTS
from benchmarks.report import Run
from benchmarks.tables import lay_out
from benchmarks.throughput import LEAST_BATCHES, ThroughputSettings, Track
from benchmarks.topics import PARTITIONS, clean_up, fill_topic, name_topic
from benchmarks.trial import TrialSettings, begin, provide_ground, write_report
from lib.kafka.admin import build_admin
from lib.settings.command import run_job
from lib.setup.cores import count_cores

_BACKLOGS = (100_000, 1_000_000, 10_000_000)
_PARTITIONS = (1, 16, 64)
_BATCHES = (1_000, 10_000, 500_000)
# A case with small batches has at most this many, which is enough for a rate.
_MOST_BATCHES = 100


class GrowthSettings(TrialSettings):
    """Drain topics of several sizes with the job, exactly once."""

    contestants = tuple(name for name in CONTESTANTS if name.startswith("exactly-once/"))

    only: list[str] = Field(
        ["exactly-once/onnx"], description="a contestant; repeatable", min_length=1
    )
    most_records: int = Field(
        max(_BACKLOGS), ge=100_000, description="cases with a longer backlog are left out"
    )


@dataclass(frozen=True)
class Case:
    """A case, which differs from the usual one in one thing.

    Attributes:
        records: the number of records in the backlog.
        partitions: the number of partitions of the input topic.
        batch: the number of records in a micro-batch.
        cores: the number of cores that job, broker, sender and reader share.
    """

    records: int = 2_000_000
    partitions: int = PARTITIONS
    batch: int = 100_000
    cores: int = 2


def list_cases(most_records: int, cores: int) -> list[Case]:
    """List the usual case, then the cases that differ from it in one thing."""
    usual = Case(cores=cores)
    cases = [
        usual,
        *(
            replace(usual, records=records, batch=min(usual.batch, records // LEAST_BATCHES))
            for records in _BACKLOGS
        ),
        *(replace(usual, partitions=partitions) for partitions in _PARTITIONS),
        *(replace(usual, batch=batch, records=_size_backlog(batch)) for batch in _BATCHES),
        *(replace(usual, cores=fewer) for fewer in range(1, cores)),
    ]
    return [case for case in cases if case.records <= most_records]


def _size_backlog(batch: int) -> int:
    """Return a number of records that makes enough batches, and not too many."""
    return min(max(Case.records, batch * LEAST_BATCHES), batch * _MOST_BATCHES)


@contextmanager
def limited_to(cores: int) -> Iterator[None]:
    """Let this thread and the processes that it starts share only this many cores in the block."""
    usable = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(usable)[:cores])
    try:
        yield
    finally:
        os.sched_setaffinity(0, usable)


def run_case(case: Case, name: str, track: Track, console: Console) -> Run:
    """Fill a topic, let the job drain it, and remove it."""
    topic = name_topic("customers")
    settings = ThroughputSettings(
        records=case.records,
        max_offsets_per_trigger=case.batch,
        conf=track.settings.conf,
    )
    try:
        with console.status(f"{name}: {case}"):
            fill_topic(track.ground.cluster, topic, case.records, lambda _: None, case.partitions)
            return replace(track, settings=settings, input_topic=topic).run(CONTESTANTS[name], 1)
    finally:
        clean_up(track.admin, [topic])


def run_cases(
    cases: Iterable[Case], settings: GrowthSettings, conditions: dict[str, Any], console: Console
) -> list[tuple[Case, Run]]:
    """Run cases with the same cores, on a broker that has no more."""
    found = []
    with provide_ground(conditions, console) as ground:
        admin = build_admin(ground.cluster)
        usual = ThroughputSettings(conf=settings.conf)
        track = Track(usual, ground, admin, input_topic="")
        for case in cases:
            for name in settings.only:
                run = run_case(case, name, track, console)
                found.append((case, run))
                console.print(f"{name}: {case} {run.describe()}")
    return found


def measure(settings: GrowthSettings) -> int:
    """Run every case; return 0 if each accounts for every record."""
    console = Console(highlight=False)
    started, conditions = begin(settings, console)
    found: list[tuple[Case, Run]] = []
    cases = list_cases(settings.most_records, count_cores())
    for cores, alike in groupby(cases, lambda case: case.cores):
        with limited_to(cores):
            found += run_cases(alike, settings, conditions, console)
    print(_format_table(found, console.width))
    report = {**conditions, "cases": [{**asdict(case), **asdict(run)} for case, run in found]}
    text = json.dumps(report, indent=2) + "\n"
    write_report(settings, "growth", started, text, console)
    return 1 if any(run.failure for _, run in found) else 0


def _format_table(found: list[tuple[Case, Run]], width: int) -> str:
    headings = (
        *("job", "backlog", "partitions", "batch", "cores"),
        *("records/s", "second half", "for each core", "peak memory"),
    )
    return lay_out(headings, [_list_cells(case, run) for case, run in found], width)


def _list_cells(case: Case, run: Run) -> tuple[str, ...]:
    rate, late = run.rate or 0, run.late_rate or 0
    return (
        *(run.contestant, f"{case.records:,}", str(case.partitions), f"{case.batch:,}"),
        *(str(case.cores), f"{rate:,.0f}", f"{late:,.0f}", f"{rate / case.cores:,.0f}"),
        f"{run.peak_bytes / 2**30:.1f} GiB",
    )


if __name__ == "__main__":
    sys.exit(run_job(GrowthSettings, measure))
