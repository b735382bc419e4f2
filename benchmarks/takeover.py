"""Measure the time and threads for each source partition at a start with executor commits.

Run it with ``.venv/bin/python -m benchmarks.takeover``; see docs/measured.md.
"""

from __future__ import annotations

import json
import sys
import time
import uuid
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from pydantic import Field
from rich.console import Console

from benchmarks.environment import describe_machine, describe_versions
from benchmarks.threads import ThreadCount
from benchmarks.topics import clean_up
from benchmarks.trial import BenchmarkSettings, write_report
from lib.exactly_once.commit.partition_writers import Predecessors, take_partitions
from lib.exactly_once.offsets.stamp import Author, Committer, make_run_id
from lib.exactly_once.transaction.settings import TransactionSettings
from lib.exactly_once.transaction.writer import TransactionalWriter
from lib.kafka.admin import build_admin
from lib.kafka.cluster import Cluster
from lib.kafka.topics import create_topics
from lib.settings.command import run_job
from lib.tools.broker import EmbeddedBroker, provide_broker


class TakeoverSettings(BenchmarkSettings):
    """Take over topics of several sizes, partition by partition, and count."""

    partitions: list[int] = Field([50, 100, 200, 400], description="of each topic; repeatable")


@dataclass(frozen=True)
class Taken:
    """The time and threads of one start.

    Attributes:
        partitions: the number of partitions of the topic.
        is_first: whether nothing had been committed for them.
        seconds: the seconds from the first producer to the last.
        threads: the highest number of threads at once, without those that existed before.
    """

    partitions: int
    is_first: bool
    seconds: float
    threads: int

    @property
    def partition_ms(self) -> float:
        """Milliseconds for each partition."""
        return self.seconds * 1000 / self.partitions


def measure_topic(cluster: Cluster, partitions: int) -> list[Taken]:
    """Measure a first start, and a second one that finds the results of the first."""
    topic = f"takeover-{partitions}-{uuid.uuid4().hex[:8]}"
    create_topics(cluster, {topic: partitions})
    settings = TransactionSettings(cluster.bootstrap_servers, topic, topic)
    found = [_measure_start(settings, partitions, is_first=is_first) for is_first in (True, False)]
    clean_up(build_admin(cluster), [topic])
    return found


def _measure_start(settings: TransactionSettings, partitions: int, *, is_first: bool) -> Taken:
    author = Author(make_run_id(), committer=Committer.EXECUTOR)
    predecessors = Predecessors({}, 1, "-", lambda: range(partitions), lambda *offset: None)
    with ThreadCount() as threads:
        started_s = time.monotonic()
        take_partitions(settings, author, predecessors)
        seconds = time.monotonic() - started_s
    if is_first:
        writer = TransactionalWriter(settings, author=author)
        writer.open()
        writer.claim(dict.fromkeys(range(partitions), 0), query_id="-")
        writer.close()
    return Taken(partitions, is_first, seconds, threads.most)


def measure(settings: TakeoverSettings) -> int:
    """Measure all sizes on one broker, and write a report; return the exit code."""
    console, started, found = Console(), datetime.now(UTC), []
    with provide_broker() as broker:
        versions = describe_versions(isinstance(broker, EmbeddedBroker))
        for partitions in settings.partitions:
            for taken in measure_topic(broker.cluster, partitions):
                found.append(taken)
                what = "a first start" if taken.is_first else "a start after another"
                console.print(
                    f"{taken.partitions} partitions, {what}: {taken.seconds:.1f} s,"
                    f" {taken.partition_ms:.0f} ms each, {taken.threads} threads more"
                )
    report: dict[str, Any] = {
        "started": started.isoformat(timespec="seconds"),
        "settings": settings.describe(),
        "machine": describe_machine(),
        "versions": versions,
        "starts": [asdict(taken) for taken in found],
    }
    write_report(settings, "takeover", started, json.dumps(report, indent=2) + "\n", console)
    return 0


if __name__ == "__main__":
    sys.exit(run_job(TakeoverSettings, measure))
