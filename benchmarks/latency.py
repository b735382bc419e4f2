"""Measure how long a record takes from its due time to a reader of the output, in each mode.

Run it with ``make bench-latency``, or see ``.venv/bin/python benchmarks/latency.py --help``;
docs/measured.md has the results.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from pydantic import Field
from rich.console import Console
from rich.table import Table

from benchmarks.contestants import Course, build_job_command
from benchmarks.delays import Latency, compute_latencies, is_away
from benchmarks.open_loop import ArrivalReader, send_on_schedule
from benchmarks.report import format_json
from benchmarks.topics import PARTITIONS, clean_up
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
from lib.settings.base import BackendChoice, DecoderChoice
from lib.settings.command import run_job
from lib.settings.jobs.score_stream import ScoreStreamSettings
from lib.settings.real_time import REAL_TIME
from lib.tools.demo.child import Child

# Spark starts in 10 s, or in several times that on a busy machine.
_START_TIMEOUT_S = 180.0
_END_TIMEOUT_S = 60.0

# Contestant → its flags, in addition to those that all contestants share.
MODES: Mapping[str, Mapping[str, str]] = {
    "exactly-once": {"--delivery": "exactly-once", "--trigger": "0 seconds"},
    "at-least-once": {"--delivery": "at-least-once", "--trigger": "0 seconds"},
    REAL_TIME: {"--delivery": "at-least-once", "--mode": REAL_TIME},
}


class LatencySettings(TrialSettings):
    """Send records on a schedule, and measure when their answers can be read.

    This starts an embedded broker, or uses that of KAFKA_BOOTSTRAP_SERVERS (without
    authentication).
    """

    contestants = tuple(MODES)

    rate: float = Field(1_000.0, gt=0, description="records per second, whatever the job does")
    seconds: float = Field(60.0, gt=0, description="that are measured, for each contestant")
    warm_up: float = Field(60.0, ge=0, description="seconds of the same load before")
    backend: BackendChoice = Field("sql", description="of all contestants")
    decoder: DecoderChoice = Field("auto", description="of all contestants")
    partitions: int = Field(PARTITIONS, ge=1, description="of the topics, each with a task slot")
    real_time_batch: str = Field(
        ScoreStreamSettings.model_fields["real_time_batch"].default,
        description="of the job, in real-time mode",
    )
    only: list[str] = Field(list(MODES), description="a contestant; repeatable")


@dataclass(frozen=True)
class Load:
    """The load that is sent on a schedule.

    Attributes:
        rate: the records per second, whatever the contestant does.
        warm_up: the seconds before anything is measured.
        seconds: the seconds that are measured.
        partitions: the number of partitions of each topic, each with a task slot.
    """

    rate: float
    warm_up: float
    seconds: float
    partitions: int = PARTITIONS


@dataclass(frozen=True)
class LatencyRun:
    """The result of one contestant.

    Attributes:
        contestant: its name.
        failure: the reason why the run does not count; None if it counts.
        batch_ms: the mean time from the end of one batch to the end of the next, over the hundred
            batches that the checkpoint keeps; None where fewer than two ended.
        repeated: the number of answers to records that had an answer already.
        overall: the delays of all records that were measured.
        away: the delays of records due away from batch boundaries; None for micro-batches, which
            have boundaries all the time.
    """

    contestant: str
    failure: str | None
    batch_ms: float | None
    repeated: int
    overall: Latency
    away: Latency | None


def run(name: str, settings: LatencySettings, ground: Ground) -> LatencyRun:
    """Let the job answer the load in one of its modes, and measure."""
    options = {"--backend": settings.backend, "--decoder": settings.decoder, **MODES[name]}
    if name == REAL_TIME:
        options["--real-time-batch"] = settings.real_time_batch
    load = Load(settings.rate, settings.warm_up, settings.seconds, settings.partitions)
    return measure_latency(
        name, lambda course: build_job_command(course, options), load, ground, settings.conf
    )


def measure_latency(
    name: str,
    build_command: Callable[[Course], list[str]],
    load: Load,
    ground: Ground,
    spark_settings: Sequence[str] = (),
) -> LatencyRun:
    """Let a contestant answer the load, and measure.

    Args:
        name: the name of the contestant; real-time mode is also measured away from boundaries.
        build_command: a function that returns program and arguments; the program runs until it is
            told to stop.
        load: the load that the contestant gets.
        ground: broker, model and guard.
        spark_settings: settings for spark-submit, if the contestant is the job.

    Raises:
        ScoringError: the contestant does not answer.
    """
    cluster = ground.cluster
    # Every mode has a task slot for each partition, so that modes differ in nothing else.
    slots = f"spark.master=local[{load.partitions}]"
    course = plan_course(ground, spark_settings=[slots, *spark_settings])
    topics = (course.input_topic, course.output_topic, course.dead_letter_topic)
    admin = build_admin(cluster)
    create_topics(cluster, dict.fromkeys(topics, load.partitions))
    log = FOLDER / f"latency-{name.replace('/', '-')}.log"
    try:
        with (
            ArrivalReader(cluster, topics[1:]) as reader,
            Child(name, build_command(course), log, ground.guard) as job,
        ):
            return _measure(name, load, course, reader, job)
    finally:
        clean_up(admin, topics, [course.group])


def _measure(
    name: str, load: Load, course: Course, reader: ArrivalReader, job: Child
) -> LatencyRun:
    cluster, topic = course.cluster, course.input_topic
    send_on_schedule(cluster, topic, 1, load.rate)
    if not reader.wait_for_answers(1, _START_TIMEOUT_S, job.check):
        raise ScoringError(f"{name} did not answer", hint=f"all it said is in {job.log}")
    reader.arrived_s.clear()
    first, records = (
        int(load.rate * seconds) for seconds in (load.warm_up, load.warm_up + load.seconds)
    )
    start_s = send_on_schedule(cluster, topic, records, load.rate)
    reader.wait_for_answers(records, _END_TIMEOUT_S, job.check)
    lost = records - len(reader.arrived_s)
    due_s, latencies_s = compute_latencies(start_s, load.rate, first, reader.arrived_s)
    boundaries_s = find_boundaries_s(course.checkpoint)
    away = is_away(due_s, boundaries_s)
    measured = [at_s for at_s in boundaries_s if due_s[0] <= at_s <= due_s[-1]]
    return LatencyRun(
        contestant=name,
        failure=f"{lost} of {records} records were not answered" if lost else None,
        batch_ms=compute_batch_ms(measured),
        repeated=reader.repeated,
        overall=Latency.over(latencies_s),
        away=Latency.over(latencies_s[away]) if name.endswith(REAL_TIME) else None,
    )


def find_boundaries_s(checkpoint: Path) -> list[float]:
    """Return when each batch was in Spark's commit log, on the monotonic clock."""
    offset_s = time.monotonic() - time.time()
    commits = (path for path in (checkpoint / "commits").glob("*") if path.name.isdigit())
    return sorted(path.stat().st_mtime + offset_s for path in commits)


def compute_batch_ms(boundaries_s: Sequence[float]) -> float | None:
    """Compute the mean time from one boundary to the next."""
    if len(boundaries_s) < 2:
        return None
    return (boundaries_s[-1] - boundaries_s[0]) / (len(boundaries_s) - 1) * 1000


def measure(settings: LatencySettings) -> int:
    """Run everything; return 0 if every record of every run was answered."""
    console = Console(highlight=False)
    started, conditions = begin(settings, console)
    runs = []
    with provide_ground(conditions, console) as ground:
        for name in settings.only:
            with console.status(name):
                runs.append(run(name, settings, ground))
            console.print(f"{name}: {runs[-1].failure or 'every record was answered'}")
    console.print(build_table(runs))
    text = format_json(conditions, [], runs)
    write_report(settings.output, "latency", started, text, console)
    return 1 if any(each.failure for each in runs) else 0


def build_table(runs: list[LatencyRun]) -> Table:
    """Build the table for the terminal, in milliseconds."""
    table = Table(padding=0)
    for heading in ("", "records", "a batch", "p50", "p99", "max", "p50 *", "p99 *", "max *"):
        table.add_column(heading, justify="right" if heading else "left", no_wrap=not heading)
    for each in runs:
        latencies = (each.overall, each.away or Latency(0, None, None, None))
        figures = [ms for it in latencies for ms in (it.p50_ms, it.p99_ms, it.max_ms)]
        table.add_row(
            *(each.contestant, f"{each.overall.records:,}"),
            *("–" if ms is None else f"{ms:,.0f}" for ms in (each.batch_ms, *figures)),
        )
    table.caption = "milliseconds; * away from batch boundaries"
    return table


if __name__ == "__main__":
    sys.exit(run_job(LatencySettings, measure))
