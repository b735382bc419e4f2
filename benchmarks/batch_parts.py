"""Measure scoring and committing in the real job, where they run in turn in each batch.

Run it with ``.venv/bin/python -m benchmarks.batch_parts``; see docs/measured.md.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from itertools import pairwise

from pydantic import Field
from rich.console import Console

from benchmarks.capacity import join_in_turn
from benchmarks.contestants import build_job_command
from benchmarks.topics import PARTITIONS, clean_up, fill_topic
from benchmarks.trial import (
    FOLDER,
    Ground,
    TrialSettings,
    begin,
    plan_course,
    provide_ground,
    write_report,
)
from lib.errors import ScoringError
from lib.kafka.admin import build_admin
from lib.kafka.topics import create_topics
from lib.settings.command import run_job
from lib.settings.jobs.score_stream import AVAILABLE_NOW
from lib.tools.demo.child import Child

# The first batches are not measured, because workers start and memory is used for the first time.
_WARM_UP_BATCHES = 2
# With --verbose the sink writes this line to the job's log.
_LINE = re.compile(
    r"^(?P<time>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}) INFO lib\.exactly_once\.sink"
    r" batch=\d+ written=(?P<written>\{.*\}) already_written=0 duration_ms=(?P<ms>\d+)$",
    re.MULTILINE,
)


class BatchPartsSettings(TrialSettings):
    """Drain a topic with the job, and split the time of its batches into scoring and committing."""

    records: int = Field(2_000_000, ge=1_000, description="how many are scored")
    max_offsets_per_trigger: int = Field(200_000, ge=100, description="of a batch, in records")
    backend: str = Field("onnx", description="that scores")


@dataclass(frozen=True)
class Parts:
    """The time that all batches but the first ones took.

    Attributes:
        records: the number of records in all batches.
        duration_s: the sum of the seconds from the end of one batch to the end of the next.
        commit_s: the part of these seconds in transactions.
    """

    records: int
    duration_s: float
    commit_s: float

    @property
    def scoring_per_s(self) -> float:
        """Records a second of everything outside of transactions: planning, reading, scoring."""
        return self.records / (self.duration_s - self.commit_s)

    @property
    def commit_per_s(self) -> float:
        """Messages a second that the writer commits."""
        return self.records / self.commit_s

    @property
    def records_per_s(self) -> float:
        """Records a second that the job answers, with scoring and commits."""
        return self.records / self.duration_s


def split_batches(log: str) -> Parts:
    """Read the log of a job that answered a backlog, with ``--verbose``.

    Args:
        log: the text of the log.

    Raises:
        ScoringError: the log shows too few batches.
    """
    found = list(_LINE.finditer(log))
    if len(found) <= _WARM_UP_BATCHES:
        raise ScoringError(
            f"the job's log shows {len(found)} batches, expected more", hint=log[-500:]
        )
    records, duration_s, commit_s = 0, 0.0, 0.0
    for before, batch in pairwise(found[_WARM_UP_BATCHES - 1 :]):
        records += sum(json.loads(batch["written"]).values())
        duration_s += (_read_time(batch["time"]) - _read_time(before["time"])).total_seconds()
        commit_s += int(batch["ms"]) / 1000
    return Parts(records, duration_s, commit_s)


def _read_time(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%d %H:%M:%S,%f").replace(tzinfo=UTC)


def drain(settings: BatchPartsSettings, ground: Ground) -> Parts:
    """Fill a topic and let the job answer it."""
    cluster = ground.cluster
    course = plan_course(
        ground,
        batch_records=settings.max_offsets_per_trigger,
        spark_settings=settings.conf,
    )
    topics = (course.input_topic, course.output_topic, course.dead_letter_topic)
    log = FOLDER / "batch-parts.log"
    try:
        fill_topic(cluster, course.input_topic, settings.records, lambda sent: None)
        create_topics(cluster, dict.fromkeys(topics[1:], PARTITIONS))
        options = {
            "--backend": settings.backend,
            "--trigger": AVAILABLE_NOW,
            "--max-offsets-per-trigger": settings.max_offsets_per_trigger,
        }
        command = [*build_job_command(course, options), "--verbose"]
        with Child("the job", command, log, ground.guard) as child:
            child.wait()
    finally:
        admin = build_admin(cluster)
        clean_up(admin, topics, [course.group])
    return split_batches(log.read_text())


def measure(settings: BatchPartsSettings) -> int:
    """Run the job, print its parts and write the report; return the exit code."""
    console = Console(highlight=False)
    started, conditions = begin(settings, console)
    with provide_ground(conditions, console) as ground, console.status("draining a topic"):
        parts = drain(settings, ground)
    for line in describe(parts):
        console.print(line)
    report = json.dumps({**conditions, "parts": asdict(parts)}, indent=2) + "\n"
    write_report(settings, "batch-parts", started, report, console)
    return 0


def describe(parts: Parts) -> Sequence[str]:
    """Return a few lines that say what the parts took."""
    in_turn = join_in_turn(parts.scoring_per_s, parts.commit_per_s)
    return (
        f"{parts.records:,} records in {parts.duration_s:.1f} s: {parts.records_per_s:,.0f}/s",
        f"scoring {parts.scoring_per_s:,.0f}/s, commits {parts.commit_per_s:,.0f}/s:"
        f" in turn {in_turn:,.0f}/s",
        f"commits take {parts.commit_s / parts.duration_s:.0%} of the time",
    )


if __name__ == "__main__":
    sys.exit(run_job(BatchPartsSettings, measure))
