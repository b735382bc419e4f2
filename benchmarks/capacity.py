"""Compute what a rate of records takes: the table of docs/scaling.md. This module is pure.

``.venv/bin/python -m benchmarks.capacity --scoring-per-s 50000 --commit-per-s 300000`` prints it
for the rates of other machines.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil
from typing import Literal

from pydantic import Field

from lib.settings.base import JobSettings
from lib.settings.command import run_job

# These are the bytes of a record, of its prediction, and those that a broker's disk or network
# takes in a second.
_RECORD_BYTES = 500
_MESSAGE_BYTES = 200
_BROKER_BYTES_PER_S = 100_000_000
_REPLICAS = 3
_PARTITION_RECORDS_PER_S = 10_000
# This is ``TransactionSettings.part_bytes``: a task on an executor commits its messages in such
# parts.
_PART_BYTES = 64 * 1024 * 1024
# Arithmetic with floats may add this much: 20.000000001 cores are 20.
_ROUNDING = 1e-6


class CapacitySettings(JobSettings):
    """Print what rates of records take, for machines whose own rates are known."""

    scoring_per_s: float = Field(30_000, gt=0, description="records that one core scores a second")
    commit_per_s: float = Field(150_000, gt=0, description="messages that one writer commits")


@dataclass(frozen=True)
class Layout:
    """The layout of a job.

    Attributes:
        records_per_s: the rate of the input topic, which all queries together answer.
        commit: the place where transactions are committed.
        queries: the number of queries that share the topic by ``--partitions``.
        batch_s: the time from batch to batch.
        output_partitions: the partitions of the output topic; by default as many as the source has.
    """

    records_per_s: int
    commit: Literal["driver", "executor"] = "driver"
    queries: int = 1
    batch_s: float = 5.0
    output_partitions: int | None = None

    @property
    def source_partitions(self) -> int:
        """Number of partitions that the records need in the input topic."""
        return max(1, ceil(self.records_per_s / _PARTITION_RECORDS_PER_S))

    @property
    def brokers(self) -> int:
        """Number of brokers that records and predictions need, all replicas counted."""
        written = self.records_per_s * (_RECORD_BYTES + _MESSAGE_BYTES) * _REPLICAS
        return max(_REPLICAS, ceil(written / _BROKER_BYTES_PER_S))


@dataclass(frozen=True)
class Estimate:
    """The needs of a layout.

    Attributes:
        cores: the cores that score for all queries together, without a reserve.
        commit_share: the share of a batch's time that commits take; the cores of a query rest
            meanwhile if its driver commits.
        markers_per_s: the control records, one for each partition that a transaction wrote to.
        connections_per_s: the connections that producers of tasks open, each to every broker.
    """

    cores: int
    commit_share: float
    markers_per_s: float
    connections_per_s: float


def join_in_turn(*rates_per_s: float) -> float:
    """Compute the rate of stages that run one after the other on the same records.

    >>> round(join_in_turn(50_000, 300_000))
    42857
    """
    return 1 / sum(1 / rate for rate in rates_per_s)


def estimate(layout: Layout, *, scoring_per_s: float, commit_per_s: float) -> Estimate:
    """Compute the needs of a layout in which scoring and committing run in turn.

    Args:
        layout: the layout of the job.
        scoring_per_s: the records that one core scores in a second.
        commit_per_s: the messages that one writer commits in a second.

    Raises:
        ValueError: one writer of each query commits less than its share of the records.
    """
    if layout.commit == "executor":
        # Each task scores its partition, then commits it: all cores do both.
        each_per_s = join_in_turn(scoring_per_s, commit_per_s)
        cores = ceil(layout.records_per_s / each_per_s - _ROUNDING)
        messages = layout.records_per_s * layout.batch_s / layout.source_partitions
        parts = max(1, ceil(messages * _MESSAGE_BYTES / _PART_BYTES))
        tasks_per_s = layout.source_partitions / layout.batch_s
        transactions_per_s = tasks_per_s * parts
        connections_per_s = tasks_per_s * layout.brokers
        commit_share = each_per_s / commit_per_s
    else:
        share_per_s = layout.records_per_s / layout.queries
        if share_per_s >= commit_per_s:
            raise ValueError(f"a query of {share_per_s:,.0f} records/s has no time left to score")
        # All cores of a query score, then its driver commits.
        spare_s = 1 / share_per_s - 1 / commit_per_s
        cores = ceil(1 / (scoring_per_s * spare_s) - _ROUNDING) * layout.queries
        transactions_per_s = layout.queries / layout.batch_s
        connections_per_s = 0.0
        commit_share = share_per_s / commit_per_s
    # The group's offsets are one more partition.
    written = (layout.output_partitions or layout.source_partitions) + 1
    return Estimate(cores, commit_share, transactions_per_s * written, connections_per_s)


#: These are the rows of docs/scaling.md, with what each row leaves out.
ROWS: tuple[tuple[Layout, str], ...] = (
    (
        Layout(10_000),
        "a constant of 45 ms and more for each transaction: nearly all of a small batch",
    ),
    (Layout(50_000), "the same; reading and planning"),
    (Layout(100_000), "any reserve: a backlog is hardly caught up with"),
    (Layout(500_000, queries=8), "one core more for each driver, and eight jobs to run"),
    (Layout(500_000, "executor"), "0.1 to 0.6 s for the producer of each task"),
    (Layout(1_000_000, "executor"), "the same, and Spark's planning of 100 tasks a batch"),
    (
        Layout(10_000_000, "executor", queries=10, batch_s=30, output_partitions=250),
        "the same; the limits of the transaction coordinators, which nobody has measured here",
    ),
)


def format_rows(*, scoring_per_s: float, commit_per_s: float) -> Iterator[str]:
    """Write the table's rows in Markdown.

    Args:
        scoring_per_s: the records that one core scores in a second.
        commit_per_s: the messages that one writer commits in a second.
    """
    for layout, left_out in ROWS:
        strategy = "one driver" if layout.queries == 1 else f"{layout.queries} queries"
        if layout.commit == "executor":
            strategy = f"{strategy}, `--commit executor`".removeprefix("one driver, ")
        found = estimate(layout, scoring_per_s=scoring_per_s, commit_per_s=commit_per_s)
        cells = (
            f"{layout.records_per_s:,}",
            strategy,
            f"{found.cores:,}",
            f"{found.commit_share:.0%}".replace("%", " %"),
            f"{layout.source_partitions:,}",
            f"{layout.batch_s:g}",
            f"{layout.brokers:,}",
            f"{found.markers_per_s:,.0f}",
            f"{found.connections_per_s:,.0f}",
            left_out,
        )
        yield f"| {' | '.join(cells)} |"


def print_table(settings: CapacitySettings) -> int:
    """Print the table's rows; return the exit code 0."""
    rates = {"scoring_per_s": settings.scoring_per_s, "commit_per_s": settings.commit_per_s}
    for row in format_rows(**rates):
        print(row)
    return 0


if __name__ == "__main__":
    sys.exit(run_job(CapacitySettings, print_table))
