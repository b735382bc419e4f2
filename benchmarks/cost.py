"""Where a record's processor time goes, by backend.

    .venv/bin/python -m benchmarks.cost --backend onnx

Reads a topic of synthetic customers with Spark, in one process, once for each stage, each of which
does all that the one before it did: read, score, collect, commit. The difference between two stages
is the cost of the later one. Processor time rather than the clock, so that a busy machine disturbs
less; the broker's is counted apart. Every stage runs twice, and the second run counts. For backends
in Python workers the pass over a batch is also taken apart, in this process: decode and check,
score, encode.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

import psutil
import pyarrow as pa
from pydantic import Field
from pyspark.sql import DataFrame, SparkSession
from rich.console import Console
from rich.table import Table

from benchmarks.environment import describe_machine, describe_versions
from benchmarks.topics import PARTITIONS, encode_records, fill_topic, name_topic
from benchmarks.trial import BenchmarkSettings, provide_model, write_report
from lib.broker import EmbeddedBroker, create_topics
from lib.broker.guarded_folder import GuardedFolder
from lib.cli import run_job
from lib.contract import CUSTOMER
from lib.decode_batch import decode_batch
from lib.encode_batch import Encoding, encode_batch
from lib.local_session import build_local_session
from lib.messages import OutputSettings
from lib.pipeline import score_records
from lib.scoring.base import ModelBackend
from lib.scoring.choice import load_backend
from lib.settings.base import BackendChoice, ModelSettings
from lib.sinks.columns import OPTIONAL_COLUMN, REQUIRED_COLUMNS
from lib.sinks.settings import TransactionSettings
from lib.sinks.transaction import TransactionalWriter
from lib.sources.kafka import FETCH_OPTIONS, as_records
from lib.synth import iter_records, make_customers

_BATCH_RECORDS = 10_000
_BATCH_ROUNDS = 30


class CostSettings(BenchmarkSettings):
    """Measure the processor time of each stage."""

    records: int = Field(400_000, ge=10_000, description="that are read for each stage")
    backend: BackendChoice = Field("auto", description="that scores")


@dataclass(frozen=True)
class Stage:
    """One row of the table.

    Attributes:
        name: of the stage.
        own_us: processor time of Spark, its workers and this process, microseconds a record.
        broker_us: that of the broker.
    """

    name: str
    own_us: float
    broker_us: float


def measure_stages(
    spark: SparkSession, servers: str, topic: str, scorer: ModelBackend, records: int
) -> list[Stage]:
    """Each stage with all before it, then the differences."""
    output_topic = name_topic("predictions")
    create_topics(servers, {output_topic: PARTITIONS})
    source = as_records(
        spark.read.format("kafka")
        .options(**{"kafka.bootstrap.servers": servers, "subscribe": topic})
        .options(includeHeaders="true", **FETCH_OPTIONS)
        .load()
    )
    output = OutputSettings(output_topic, "dead-letters", "cost")
    messages = score_records(source, scorer, CUSTOMER, output).select(
        *REQUIRED_COLUMNS, OPTIONAL_COLUMN
    )
    ends = dict.fromkeys(range(PARTITIONS), records)

    def commit(batch_id: int) -> None:
        writer = TransactionalWriter(TransactionSettings(servers, f"cost-{batch_id}", topic))
        writer.open()
        writer.write(messages.toArrow(), ends, query_id="cost", batch_id=batch_id)
        writer.close()

    stages: Mapping[str, Callable[[int], object]] = {
        "read": lambda _: _drop(source),
        "decode, check, score, encode": lambda _: _drop(messages),
        "collect on the driver": lambda _: messages.toArrow(),
        "produce and commit": commit,
    }
    found, before = [], (0.0, 0.0)
    for name, run in stages.items():
        run(0)
        spent = _measure(lambda run=run: run(1))  # type: ignore[misc]
        found.append(
            Stage(
                name,
                *((now - then) / records * 1e6 for now, then in zip(spent, before, strict=True)),
            )
        )
        before = spent
    return found


def measure_batch(scorer: ModelBackend, spark: SparkSession) -> dict[str, float] | None:
    """Microseconds a record of each part of a worker's pass; None where there is none."""
    score = scorer.build_batch_scorer(spark)
    if score is None:
        return None
    batch = _make_batch()
    output = OutputSettings("predictions", "dead-letters", "cost")
    encoding = Encoding(CUSTOMER, output, scorer.threshold, scorer.scored_by)
    parts = {"decode and check": float("inf"), "score": float("inf"), "encode": float("inf")}
    for _ in range(_BATCH_ROUNDS):
        marks = [time.process_time()]
        decoded = decode_batch(batch["source_value"], CUSTOMER)
        marks.append(time.process_time())
        probabilities = score(decoded.features)
        marks.append(time.process_time())
        encode_batch(batch, decoded, probabilities, encoding, datetime.now(UTC))
        marks.append(time.process_time())
        for name, start, end in zip(parts, marks[:-1], marks[1:], strict=True):
            parts[name] = min(parts[name], (end - start) / _BATCH_RECORDS * 1e6)
    return parts


def _make_batch() -> pa.RecordBatch:
    """Records as a worker gets them."""
    now = datetime.now(UTC)
    records = list(iter_records(make_customers(_BATCH_RECORDS, seed=1)))
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
    """Compute every column, keep nothing."""
    frame.write.format("noop").mode("overwrite").save()


def _measure(run: Callable[[], object]) -> tuple[float, float]:
    """Processor seconds of this process and its descendants, and of the broker."""
    before = _read_cpu_s()
    run()
    after = _read_cpu_s()
    return after[0] - before[0], after[1] - before[1]


def _read_cpu_s() -> tuple[float, float]:
    me = psutil.Process()
    own = broker = 0.0
    for process in (me, *me.children(recursive=True)):
        with suppress(psutil.NoSuchProcess):  # gone meanwhile; a zombie counts as that
            times, command = process.cpu_times(), process.cmdline()
            if "kafka.Kafka" in command:
                broker += times.user + times.system
            else:
                own += times.user + times.system
    return own, broker


def measure(settings: CostSettings) -> int:
    """Run everything, print, write the report."""
    console = Console(highlight=False)
    started = datetime.now(UTC)
    guard = GuardedFolder.create("churn-cost-")
    try:
        model = provide_model(guard, console)
    finally:
        guard.remove()
    with EmbeddedBroker() as broker:
        topic, servers = name_topic("customers"), broker.bootstrap_servers
        fill_topic(servers, topic, settings.records, lambda _: None)
        spark = build_local_session("cost")
        chosen = ModelSettings(model=str(model), backend=settings.backend)
        scorer = load_backend(spark, chosen, CUSTOMER)
        stages = measure_stages(spark, servers, topic, scorer, settings.records)
        parts = measure_batch(scorer, spark)
        spark.stop()
    table = Table("microseconds of a record", "job", "broker")
    for stage in stages:
        table.add_row(stage.name, f"{stage.own_us:.1f}", f"{stage.broker_us:.1f}")
    table.add_row(
        "all",
        f"{sum(stage.own_us for stage in stages):.1f}",
        f"{sum(stage.broker_us for stage in stages):.1f}",
    )
    for name, cost in (parts or {}).items():
        table.add_row(f"of a worker's pass: {name}", f"{cost:.1f}", "")
    console.print(f"{scorer.scored_by}, {settings.records:,} records")
    console.print(table)
    report: dict[str, Any] = {
        "started": started.isoformat(timespec="seconds"),
        "scored_by": scorer.scored_by,
        "records": settings.records,
        "machine": describe_machine(),
        "versions": describe_versions(is_embedded=True),
        "stages": [asdict(stage) for stage in stages],
        "pass": parts,
    }
    text = json.dumps(report, indent=2) + "\n"
    write_report(settings.output, "cost", started, text, console)
    return 0


if __name__ == "__main__":
    sys.exit(run_job(CostSettings, measure))
