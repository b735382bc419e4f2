"""Measure how many messages a second one writer commits without Spark: the limit of one driver.

Run it with ``.venv/bin/python -m benchmarks.commit_rate``; see docs/measured.md.
"""

from __future__ import annotations

import json
import multiprocessing
import sys
import time
import uuid
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from statistics import median
from typing import Any

import pyarrow as pa
from pydantic import Field
from rich.console import Console

from benchmarks.environment import describe_machine, describe_versions
from benchmarks.tables import lay_out
from benchmarks.topics import clean_up
from benchmarks.trial import BenchmarkSettings, write_report
from lib.exactly_once.transaction.settings import TransactionSettings
from lib.exactly_once.transaction.writer import TransactionalWriter
from lib.kafka.admin import build_admin
from lib.kafka.cluster import Cluster
from lib.kafka.topics import create_topics
from lib.messages.columns import HEADERS_ARROW
from lib.settings.command import run_job
from lib.tools.broker import EmbeddedBroker, provide_broker

_SOURCE_PARTITIONS = 4
_DEAD_LETTER_HEADERS = 8
# The first batches open connections and touch memory, so the clock starts after them.
_WARM_UP_BATCHES = 2


class CommitRateSettings(BenchmarkSettings):
    """Commit batches of messages with the sink's own writer, and count."""

    seconds: float = Field(3.0, gt=0, description="for each case, in seconds")
    least_batches: int = Field(4, ge=1, description="for each case, however long they take")


@dataclass(frozen=True)
class Case:
    """A case, which is one row of the table.

    Attributes:
        batch: the number of messages in a transaction.
        value_bytes: the size of each message.
        partitions: the number of partitions of the output topic.
        dead_share: the share of messages that are dead letters, with headers.
        writers: the number of processes, each with its own transactional id.
    """

    batch: int
    value_bytes: int = 200
    partitions: int = 4
    dead_share: float = 0.0
    writers: int = 1


CASES: tuple[Case, ...] = (
    *(Case(batch) for batch in (100, 1_000, 10_000, 100_000, 500_000)),
    *(Case(batch, value_bytes=1_000) for batch in (1_000, 10_000, 100_000, 500_000)),
    *(Case(100_000, partitions=partitions) for partitions in (1, 16, 64)),
    *(Case(100_000, dead_share=share) for share in (0.01, 0.1)),
    *(Case(100_000, writers=writers) for writers in (1, 2)),
)


@dataclass(frozen=True)
class Tally:
    """The work of one writer.

    Attributes:
        started_s, ended_s: the times by the clock that all processes share.
        batches: the number of batches committed in between.
        transaction_ms: the duration of each transaction.
    """

    started_s: float
    ended_s: float
    batches: int
    transaction_ms: list[float]


@dataclass(frozen=True)
class Rate:
    """A case with its result: messages and megabytes a second, milliseconds a transaction."""

    case: Case
    messages_per_s: float
    megabytes_per_s: float
    transaction_ms: float


def build_batch(case: Case, output_topic: str, dead_letter_topic: str, first: int) -> pa.Table:
    """Build the messages of one batch like the plan; ``first`` is their first source offset."""
    value = b"v" * case.value_bytes
    each = case.batch // _SOURCE_PARTITIONS
    dead = round(case.batch * case.dead_share)
    headers = [(f"__connect.errors.{n}", b"h" * 40) for n in range(_DEAD_LETTER_HEADERS)]
    return pa.table(
        {
            "topic": [dead_letter_topic] * dead + [output_topic] * (case.batch - dead),
            "key": pa.array([b"%012d" % n for n in range(case.batch)], pa.binary()),
            "value": pa.array([value] * case.batch, pa.binary()),
            "headers": pa.array([headers] * dead + [None] * (case.batch - dead), HEADERS_ARROW),
            "source_topic": ["source"] * case.batch,
            "source_partition": pa.array(
                [n % _SOURCE_PARTITIONS for n in range(case.batch)], pa.int32()
            ),
            "source_offset": pa.array(
                [first + n // _SOURCE_PARTITIONS for n in range(each * _SOURCE_PARTITIONS)],
                pa.int64(),
            ),
        }
    )


def write_batches(
    cluster: Cluster, topics: Sequence[str], case: Case, seconds: float, least_batches: int
) -> Tally:
    """Commit one batch after another for some seconds, as a driver does."""
    source, output, dead_letters = topics
    writer = TransactionalWriter(
        TransactionSettings(
            cluster.bootstrap_servers, f"commit-rate-{uuid.uuid4().hex[:8]}", source
        )
    )
    writer.open()
    each = case.batch // _SOURCE_PARTITIONS
    table = build_batch(case, output, dead_letters, 0)
    at = table.column_names.index("source_offset")
    offsets = table.column(at).to_numpy()
    durations: list[float] = []
    started_s = ended_s = 0.0
    number = 0
    while True:
        if number == _WARM_UP_BATCHES:
            started_s = time.time()
        shifted = pa.array(offsets + number * each, pa.int64())
        messages = table.set_column(at, "source_offset", shifted)
        ends = dict.fromkeys(range(_SOURCE_PARTITIONS), (number + 1) * each)
        report = writer.write(messages, ends, batch_id=number, query_id="benchmark")
        number += 1
        if number <= _WARM_UP_BATCHES:
            continue
        durations.append(report.duration_s * 1000)
        ended_s = time.time()
        if len(durations) >= least_batches and ended_s - started_s >= seconds:
            writer.close()
            return Tally(started_s, ended_s, len(durations), durations)


def measure_case(cluster: Cluster, case: Case, settings: CommitRateSettings) -> Rate:
    """Run one case on new topics."""
    name = f"commit-rate-{uuid.uuid4().hex[:8]}"
    topics = [f"{name}.source", f"{name}.out", f"{name}.dead"]
    partitions = (_SOURCE_PARTITIONS, case.partitions, _SOURCE_PARTITIONS)
    create_topics(cluster, dict(zip(topics, partitions, strict=True)))
    try:
        with ProcessPoolExecutor(case.writers, multiprocessing.get_context("spawn")) as pool:
            futures = [
                pool.submit(
                    write_batches, cluster, topics, case, settings.seconds, settings.least_batches
                )
                for _ in range(case.writers)
            ]
            tallies = [future.result() for future in futures]
    finally:
        clean_up(build_admin(cluster), topics)
    messages = case.batch * sum(tally.batches for tally in tallies)
    # Writers start a moment apart, so their common time runs from the first start to the last end.
    duration_s = max(t.ended_s for t in tallies) - min(t.started_s for t in tallies)
    per_s = messages / duration_s
    times = [ms for tally in tallies for ms in tally.transaction_ms]
    return Rate(case, per_s, per_s * case.value_bytes / 1e6, median(times))


def measure(settings: CommitRateSettings) -> int:
    """Run all cases, print the table and write the report; return the exit code."""
    console = Console(highlight=False)
    started = datetime.now(UTC)
    rates = []
    with provide_broker() as broker:
        versions = describe_versions(isinstance(broker, EmbeddedBroker))
        for case in CASES:
            with console.status(str(case)):
                rates.append(measure_case(broker.cluster, case, settings))
            console.print(_format(rates[-1]))
    print(_format_table(rates, console.width))
    report: dict[str, Any] = {
        "started": started.isoformat(timespec="seconds"),
        "settings": settings.describe(),
        "machine": describe_machine(),
        "versions": versions,
        "rates": [asdict(rate) for rate in rates],
    }
    text = json.dumps(report, indent=2) + "\n"
    write_report(settings, "commit-rate", started, text, console)
    return 0


def _format(rate: Rate) -> str:
    return f"{rate.case}: {rate.messages_per_s:,.0f}/s"


def _format_table(rates: Sequence[Rate], width: int) -> str:
    headings = ("batch", "value B", "partitions", "dead", "writers", "messages/s", "MB/s", "ms")
    return lay_out(headings, [_list_cells(rate) for rate in rates], width)


def _list_cells(rate: Rate) -> tuple[str, ...]:
    case = rate.case
    return (
        *(f"{case.batch:,}", f"{case.value_bytes:,}", str(case.partitions)),
        *(f"{case.dead_share:.0%}", str(case.writers), f"{rate.messages_per_s:,.0f}"),
        *(f"{rate.megabytes_per_s:,.0f}", f"{rate.transaction_ms:,.1f}"),
    )


if __name__ == "__main__":
    sys.exit(run_job(CommitRateSettings, measure))
