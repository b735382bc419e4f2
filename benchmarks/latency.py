"""Measure how long a record takes from its due time to a reader of the output, beside a loop.

Run it with ``make bench-latency``, or see ``.venv/bin/python benchmarks/latency.py --help``;
docs/measured.md has the results.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from pydantic import Field, field_validator
from rich.console import Console

from benchmarks.contestants import (
    CONTESTANTS,
    HAND_LOOP_ONNX,
    LOOP_PROCESSES,
    Contestant,
    build_job,
    build_job_command,
    build_loop_command,
)
from benchmarks.course import Build, Course
from benchmarks.delays import Latency, compute_latencies, is_away
from benchmarks.latency_report import LOOP, LatencyRun, format_markdown, format_tables, summarise
from benchmarks.loads import check_rate, find_rate, list_missing, name_load, read_maxima
from benchmarks.open_loop import ArrivalReader, send_on_schedule
from benchmarks.peers.commands import QUIX
from benchmarks.peers.environments import provide_environments
from benchmarks.report import format_json
from benchmarks.rounds import take_turns
from benchmarks.throughput import LEAST_BATCHES, ThroughputSettings, Track, list_tools
from benchmarks.topics import PARTITIONS, clean_up, fill_topic, name_topic
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

# The job's mode → its flags, in addition to those that all modes share.
MODES: Mapping[str, Mapping[str, str]] = {
    "exactly-once": {"--delivery": "exactly-once", "--trigger": "0 seconds"},
    "at-least-once": {"--delivery": "at-least-once", "--trigger": "0 seconds"},
    REAL_TIME: {"--delivery": "at-least-once", "--mode": REAL_TIME},
}
# These have the same guarantee and the same model.
_USUAL = ("exactly-once", LOOP, QUIX)
# The loop commits one transaction a poll, and waits no longer than this for more records.
_LOOP_PATIENCE_S = 0.005


class LatencySettings(TrialSettings):
    """Send records on a schedule, and measure when their answers can be read.

    This starts an embedded broker, or uses that of KAFKA_BOOTSTRAP_SERVERS (without
    authentication).
    """

    contestants = (*MODES, LOOP, QUIX)

    rate: list[str] = Field(
        ["1000", "10000", "50%"],
        description="records per second, or a share of each contestant's own maximum; repeatable",
    )
    maximum: list[str] = Field(
        default_factory=list,
        description="NAME=RECORDS_PER_S, where it need not be measured first; repeatable",
    )
    backlog: int = Field(
        1_000_000, ge=1_000, description="records that each one drains to measure its maximum"
    )
    rounds: int = Field(3, ge=1, description="how often each one runs under each load, in turn")
    seconds: float = Field(60.0, gt=0, description="that are measured, for each run")
    warm_up: float = Field(60.0, ge=0, description="seconds of the same load before")
    backend: BackendChoice = Field("onnx", description="of the job")
    decoder: DecoderChoice = Field("auto", description="of the job")
    partitions: int = Field(PARTITIONS, ge=1, description="of the topics, each with a task slot")
    real_time_batch: str = Field(
        ScoreStreamSettings.model_fields["real_time_batch"].default,
        description="of the job, in real-time mode",
    )
    only: list[str] = Field(list(_USUAL), description="a contestant; repeatable")
    markdown: bool = Field(False, description="print the tables in Markdown too")

    @field_validator("rate")
    @classmethod
    def _check_rate(cls, texts: list[str]) -> list[str]:
        return [check_rate(text) for text in texts]

    @field_validator("maximum")
    @classmethod
    def _check_maximum(cls, texts: list[str]) -> list[str]:
        read_maxima(texts, cls.contestants)
        return texts


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

    @property
    def records(self) -> int:
        """The number of records, those before the measurement included."""
        return int(self.rate * (self.warm_up + self.seconds))


@dataclass(frozen=True)
class Answers:
    """The answers of one contestant to a load. The attributes are those of ``LatencyRun``."""

    failure: str | None
    batch_ms: float | None = None
    repeated: int = 0
    overall: Latency | None = None
    away: Latency | None = None


@dataclass(frozen=True)
class Server:
    """A contestant that answers a load until it is told to stop.

    Attributes:
        drain: the contestant that drains a backlog with the same settings, which tells its maximum.
        build_command: a function that returns program and arguments.
    """

    drain: Contestant
    build_command: Build


def list_servers(settings: LatencySettings) -> dict[str, Server]:
    """Return name → contestant, with the settings' backend and the loop's processes."""
    common = {"--backend": settings.backend, "--decoder": settings.decoder}
    processes = min(LOOP_PROCESSES, settings.partitions)

    def serve(name: str, delivery: str) -> Server:
        options = {**common, **MODES[name]}
        if name == REAL_TIME:
            options["--real-time-batch"] = settings.real_time_batch
        drain = build_job(delivery, settings.backend, decoder=settings.decoder)
        return Server(drain, lambda course: build_job_command(course, options))

    def build_loop(course: Course, *options: str) -> list[str]:
        patience = ("--patience-s", str(_LOOP_PATIENCE_S))
        return build_loop_command(course, "onnx", (*patience, *options), processes)

    loop = replace(CONTESTANTS[HAND_LOOP_ONNX], build_command=build_loop)
    quix = CONTESTANTS[QUIX]
    return {
        **{name: serve(name, options["--delivery"]) for name, options in MODES.items()},
        LOOP: Server(loop, lambda course: build_loop(course, "--endless")),
        QUIX: Server(quix, quix.build_command),
    }


def run(name: str, server: Server, load: Load, conf: Sequence[str], ground: Ground) -> Answers:
    """Let a contestant answer the load, and measure; a failure is a result as well."""
    try:
        return measure_latency(name, server.build_command, load, ground, conf)
    except ScoringError as error:
        return Answers(str(error))


def measure_maximum(server: Server, settings: LatencySettings, ground: Ground) -> float:
    """Let a contestant drain a backlog, and return its rate in records per second.

    Raises:
        ScoringError: the contestant did not drain the backlog, or the backlog is too short.
    """
    records = min(settings.backlog, server.drain.most_records)
    throughput = ThroughputSettings(
        records=records,
        max_offsets_per_trigger=max(100, min(100_000, records // LEAST_BATCHES)),
        conf=settings.conf,
    )
    topic, admin = name_topic("customers"), build_admin(ground.cluster)
    try:
        fill_topic(ground.cluster, topic, records, lambda _: None, settings.partitions)
        track = Track(throughput, ground, admin, topic, settings.partitions)
        drained = track.run(server.drain, 1)
    finally:
        clean_up(admin, [topic])
    if drained.failure or not drained.rate:
        raise ScoringError(
            f"the maximum of {server.drain.name} is unknown: {drained.describe()}",
            hint="see its log beside the report, or name its maximum: --maximum NAME=RECORDS_PER_S",
        )
    return drained.rate


def measure_latency(
    name: str,
    build_command: Build,
    load: Load,
    ground: Ground,
    spark_settings: Sequence[str] = (),
) -> Answers:
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
            ArrivalReader(cluster, topics[1:], load.records, load.partitions) as reader,
            Child(name, build_command(course), log, ground.guard) as job,
        ):
            return _measure(name, load, course, reader, job)
    finally:
        clean_up(admin, topics, [course.group])


def _measure(name: str, load: Load, course: Course, reader: ArrivalReader, job: Child) -> Answers:
    cluster, topic = course.cluster, course.input_topic
    send_on_schedule(cluster, topic, 1, load.rate)
    if not reader.wait_for_answers(1, _START_TIMEOUT_S, job.check):
        raise ScoringError(f"{name} did not answer", hint=f"all it said is in {job.log}")
    reader.forget()
    first, records = int(load.rate * load.warm_up), load.records
    start_s = send_on_schedule(cluster, topic, records, load.rate)
    reader.wait_for_answers(records, _END_TIMEOUT_S, job.check)
    lost = records - reader.answered
    due_s, latencies_s = compute_latencies(start_s, load.rate, first, reader.arrived_s)
    boundaries_s = find_boundaries_s(course.checkpoint)
    away = is_away(due_s, boundaries_s)
    measured = [at_s for at_s in boundaries_s if due_s[0] <= at_s <= due_s[-1]]
    return Answers(
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
    servers = {name: it for name, it in list_servers(settings).items() if name in settings.only}
    drains = [server.drain for server in servers.values()]
    provide_environments((drain.environment for drain in drains), console)
    started, conditions = begin(settings, console)
    conditions["tools"] = list_tools(drains)
    runs = []
    with provide_ground(conditions, console) as ground:
        maxima = read_maxima(settings.maximum, settings.contestants)
        for name in list_missing(settings.rate, list(servers), maxima):
            with console.status(f"maximum of {name}"):
                maxima[name] = measure_maximum(servers[name], settings, ground)
            console.print(f"maximum of {name}: {maxima[name]:,.0f} records/s")
        conditions["maxima"] = maxima
        pairs = list(product(settings.rate, servers))
        for number, (text, name) in take_turns(pairs, settings.rounds):
            rate = find_rate(text, maxima.get(name))
            title = f"round {number}, {name_load(text)}: {name}"
            answers = Answers(None)
            if rate is not None:
                load = Load(rate, settings.warm_up, settings.seconds, settings.partitions)
                with console.status(title):
                    answers = run(name, servers[name], load, settings.conf, ground)
            runs.append(LatencyRun(name, text, number, rate, **vars(answers)))
            console.print(f"{title}: {runs[-1].describe()}", soft_wrap=True, markup=False)
    rows = summarise(runs)
    print(format_tables(rows, console.width))
    if settings.markdown:
        print("\n" + format_markdown(rows))
    write_report(settings, "latency", started, format_json(conditions, rows, runs), console)
    return 1 if any(each.failure for each in runs) else 0


if __name__ == "__main__":
    sys.exit(run_job(LatencySettings, measure))
