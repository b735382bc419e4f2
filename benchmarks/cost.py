"""Measure where a record's processor time goes, by backend.

    .venv/bin/python -m benchmarks.cost --backend onnx

Spark reads a topic of synthetic customers in one process, once for each stage, and each stage does
all that the one before it did: read, score, collect, commit. The difference between two stages is
the cost of the later one. Processor time is measured rather than the clock, because a busy machine
disturbs it less; the broker's time is counted apart. Every stage runs twice, and the second run
counts. Then both ways to commit run completely, in turn, and their processes are counted apart. For
backends in Python workers the parts of the pass over a batch are also measured, in this process:
decode and check, score, encode.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import asdict, astuple, dataclass, fields
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from statistics import mean
from typing import Any

import psutil
import pyarrow as pa
from pydantic import Field
from pyspark.sql import DataFrame, SparkSession
from rich.console import Console

from benchmarks.environment import describe_machine, describe_versions
from benchmarks.tables import lay_out
from benchmarks.telco import CUSTOMER
from benchmarks.topics import PARTITIONS, encode_records, fill_topic, name_topic
from benchmarks.trial import BenchmarkSettings, provide_model, write_report
from lib.decode.engines.arrow import decode_batch
from lib.encode.arrow import encode_batch
from lib.exactly_once.commit.base import Batch, CommitStrategy
from lib.exactly_once.commit.driver import DriverCommit
from lib.exactly_once.commit.partition_writers import Predecessors
from lib.exactly_once.commit.topic_watch import TopicWatch
from lib.exactly_once.offsets.stamp import Author, make_run_id
from lib.exactly_once.sink import COMMITS
from lib.exactly_once.transaction.settings import TransactionSettings
from lib.kafka.admin import build_admin, read_topic_id
from lib.kafka.cluster import Cluster
from lib.kafka.topics import create_topics
from lib.messages.columns import COLLECTED_COLUMNS
from lib.messages.dead_letter import MessageSettings, OutputSettings
from lib.score.base import ModelBackend
from lib.score.choice import load_backend
from lib.settings.base import BackendChoice, PlanSettings
from lib.settings.command import run_job
from lib.source.kafka import FETCH_OPTIONS, as_records
from lib.spark.local_session import build_local_session
from lib.stream.plan import plan_scoring
from lib.stream.route import Route, choose_route
from lib.synth import iter_records
from lib.synth.telco import make_customers
from lib.tools.broker import EmbeddedBroker
from lib.tools.broker.guarded_folder import GuardedFolder

_BATCH_RECORDS = 10_000
_BATCH_ROUNDS = 30
# Both ways to commit run this often; the first round warms up.
_ROUNDS = 5


class CostSettings(BenchmarkSettings):
    """Measure the processor time of each stage."""

    records: int = Field(400_000, ge=10_000, description="that are read for each stage")
    backend: BackendChoice = Field("auto", description="that scores")


@dataclass(frozen=True)
class Stage:
    """A stage, which is one row of the table.

    Attributes:
        name: the name of the stage.
        own_us: the processor time of Spark, its workers and this process, in microseconds a record.
        broker_us: the processor time of the broker, in microseconds a record.
    """

    name: str
    own_us: float
    broker_us: float


@dataclass(frozen=True)
class Spent:
    """Processor time by kind of process, in total or in microseconds a record."""

    jvm: float = 0.0
    workers: float = 0.0
    driver: float = 0.0
    broker: float = 0.0

    @property
    def own(self) -> float:
        """Processor time of all processes except the broker."""
        return self.jvm + self.workers + self.driver

    def since(self, start: Spent) -> Spent:
        """Return the time that was spent after ``start``."""
        pairs = zip(astuple(self), astuple(start), strict=True)
        return Spent(*(now - then for now, then in pairs))

    def scale(self, factor: float) -> Spent:
        """Return all times multiplied by a factor."""
        return Spent(*(part * factor for part in astuple(self)))


def _average(rounds: Sequence[Spent]) -> Spent:
    return Spent(*(mean(column) for column in zip(*map(astuple, rounds), strict=True)))


class Bench:
    """A bench with a filled topic, on which the stages run.

    Args:
        spark: the session.
        cluster: the brokers.
        topic: the topic of customers.
        scorer: a loaded backend.
        route: the route, which says who decodes and who scores.
        records: the number of records in the topic.
    """

    def __init__(
        self,
        spark: SparkSession,
        cluster: Cluster,
        topic: str,
        scorer: ModelBackend,
        route: Route,
        records: int,
    ) -> None:
        self._cluster, self._topic, self._records = cluster, topic, records
        admin = build_admin(cluster)
        self._watch = TopicWatch(admin, topic, read_topic_id(admin, topic))
        output_topic = name_topic("predictions")
        create_topics(cluster, {output_topic: PARTITIONS})
        self._source = as_records(
            spark.read.format("kafka")
            .options(**{**cluster.for_spark(), "subscribe": topic})
            .options(includeHeaders="true", **FETCH_OPTIONS)
            .load()
        )
        output = OutputSettings(output_topic, "dead-letters", "cost")
        self._plan = plan_scoring(self._source, scorer, CUSTOMER, output, route)
        self._messages = self._plan.to_messages().select(*COLLECTED_COLUMNS)
        self._batch_id = 0

    def measure_stages(self) -> list[Stage]:
        """Measure each stage with all before it, and return the differences."""
        stages: Mapping[str, Callable[[], object]] = {
            "read": lambda: _drop(self._source),
            "decode, check, score, encode": lambda: _drop(self._messages),
            "collect on the driver": self._messages.toArrow,
            "produce and commit": lambda: self._commit(DriverCommit),
        }
        found, before = [], Spent()
        for name, run in stages.items():
            run()
            spent = self._measure(run)
            stage = spent.since(before)
            found.append(Stage(name, stage.own, stage.broker))
            before = spent
        return found

    def measure_commits(self) -> dict[str, Spent]:
        """Measure both ways to commit in turn; return the mean of all rounds but the first."""
        rounds: dict[str, list[Spent]] = {way: [] for way in COMMITS}
        for _ in range(_ROUNDS):
            for way, build in COMMITS.items():
                rounds[way].append(self._measure(partial(self._commit, build)))
        return {way: _average(found[1:]) for way, found in rounds.items()}

    def _measure(self, run: Callable[[], object]) -> Spent:
        start = _read_cpu_s()
        run()
        return _read_cpu_s().since(start).scale(1e6 / self._records)

    def _commit(self, build: Callable[[TransactionSettings, Author], CommitStrategy]) -> None:
        """Commit with one of the sink's strategies, for a query that has not committed yet."""
        self._batch_id += 1
        settings = TransactionSettings(
            self._cluster.bootstrap_servers, f"cost-{self._batch_id}", self._topic
        )
        batch = Batch(
            self._messages if self._plan.map_in_arrow is None else self._plan.frame,
            self._batch_id,
            query_id="cost",
            starts={},
            ends=dict.fromkeys(range(PARTITIONS), self._records),
            watch=self._watch,
            map_in_arrow=self._plan.map_in_arrow,
        )
        with closing(build(settings, Author(make_run_id()))) as commit:
            commit.open(
                Predecessors({}, 1, "cost", lambda: range(PARTITIONS), lambda *offset: None)
            )
            commit.write(batch)


def measure_batch(scorer: ModelBackend, spark: SparkSession) -> dict[str, float] | None:
    """Return the microseconds a record of each part of a worker's pass; None without workers."""
    if scorer.is_native:
        return None
    score = scorer.build_batch_scorer(spark).open()
    batch = _make_batch()
    output = OutputSettings("predictions", "dead-letters", "cost")
    settings = MessageSettings(CUSTOMER, output, scorer.threshold, scorer.scored_by)
    parts = {"decode and check": float("inf"), "score": float("inf"), "encode": float("inf")}
    for _ in range(_BATCH_ROUNDS):
        marks = [time.process_time()]
        decoded = decode_batch(batch["source_value"], CUSTOMER)
        marks.append(time.process_time())
        probabilities = score(decoded.features)
        marks.append(time.process_time())
        encode_batch(batch, decoded, probabilities, settings, datetime.now(UTC))
        marks.append(time.process_time())
        for name, start, end in zip(parts, marks[:-1], marks[1:], strict=True):
            parts[name] = min(parts[name], (end - start) / _BATCH_RECORDS * 1e6)
    return parts


def _make_batch() -> pa.RecordBatch:
    """Return records as a worker gets them."""
    now = datetime.now(UTC)
    records = list(iter_records(make_customers(_BATCH_RECORDS, seed=1), CUSTOMER))
    values = encode_records(records)
    count = len(values)
    return pa.RecordBatch.from_pydict(
        {
            "source_key": pa.array([it["customerID"].encode() for it in records], pa.binary()),
            "source_value": pa.array(values, pa.binary()),
            "source_headers": pa.nulls(count, pa.string()),
            "source_topic": pa.repeat("customers", count),
            "source_partition": pa.array([0] * count, pa.int32()),
            "source_offset": pa.array(range(count), pa.int64()),
            "source_timestamp": pa.array([now] * count, pa.timestamp("us", tz="UTC")),
        }
    )


def _drop(frame: DataFrame) -> None:
    """Compute every column, but keep nothing."""
    frame.write.format("noop").mode("overwrite").save()


def _read_cpu_s() -> Spent:
    """Return the seconds of this process and its descendants since their start."""
    me = psutil.Process()
    found = dict.fromkeys((field.name for field in fields(Spent)), 0.0)
    for process in (me, *me.children(recursive=True)):
        with suppress(psutil.NoSuchProcess):  # the process has ended meanwhile, or is a zombie
            times = process.cpu_times()
            found[_name_kind(process, me)] += times.user + times.system
    return Spent(**found)


def _name_kind(process: psutil.Process, me: psutil.Process) -> str:
    """Name the field of :class:`Spent` for a process.

    Raises:
        psutil.NoSuchProcess: the process has ended.
    """
    command = process.cmdline()
    if process == me:
        return "driver"
    if "kafka.Kafka" in command:
        return "broker"
    return "jvm" if command and Path(command[0]).name == "java" else "workers"


def measure(settings: CostSettings) -> int:
    """Run everything, print the result and write the report; return the exit code."""
    console = Console(highlight=False)
    started = datetime.now(UTC)
    guard = GuardedFolder.create("churn-cost-")
    try:
        model = provide_model(guard, console)
    finally:
        guard.remove()
    with EmbeddedBroker() as broker:
        topic, cluster = name_topic("customers"), broker.cluster
        fill_topic(cluster, topic, settings.records, lambda _: None)
        spark = build_local_session("cost")
        chosen = PlanSettings(model=str(model), backend=settings.backend)
        scorer = load_backend(spark, chosen)
        route = choose_route(spark, chosen, scorer)
        bench = Bench(spark, cluster, topic, scorer, route, settings.records)
        stages, commits = bench.measure_stages(), bench.measure_commits()
        parts = measure_batch(scorer, spark)
        spark.stop()
    console.print(f"{scorer.scored_by}, {settings.records:,} records")
    print(_format_stages(stages, parts or {}, console.width), end="\n\n")
    print(_format_commits(commits, console.width))
    report: dict[str, Any] = {
        "started": started.isoformat(timespec="seconds"),
        "settings": settings.describe(),
        "scored_by": scorer.scored_by,
        "records": settings.records,
        "machine": describe_machine(),
        "versions": describe_versions(is_embedded=True),
        "stages": [asdict(stage) for stage in stages],
        "commits": {way: asdict(spent) for way, spent in commits.items()},
        "pass": parts,
    }
    text = json.dumps(report, indent=2) + "\n"
    write_report(settings, "cost", started, text, console)
    return 0


def _format_stages(stages: Sequence[Stage], parts: Mapping[str, float], width: int) -> str:
    costs = [(stage.name, stage.own_us, stage.broker_us) for stage in stages]
    own_us, broker_us = (sum(us) for us in zip(*(it[1:] for it in costs), strict=True))
    lines = [
        *((name, f"{own:.1f}", f"{broker:.1f}") for name, own, broker in costs),
        ("all", f"{own_us:.1f}", f"{broker_us:.1f}"),
        *((f"of a worker's pass: {name}", f"{cost:.1f}", "") for name, cost in parts.items()),
    ]
    return lay_out(("microseconds of a record", "job", "broker"), lines, width)


def _format_commits(commits: Mapping[str, Spent], width: int) -> str:
    headings = ("commits on the", "JVM", "workers", "driver's Python", "broker", "all")
    spent = {way: (*astuple(cost), sum(astuple(cost))) for way, cost in commits.items()}
    lines = [(way, *(f"{part:.1f}" for part in parts)) for way, parts in spent.items()]
    return lay_out(headings, lines, width)


if __name__ == "__main__":
    sys.exit(run_job(CostSettings, measure))
