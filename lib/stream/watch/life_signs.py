"""Measures for how long a running query has shown no sign of life, and finds what it waits for."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from pyspark import SparkStageInfo
from pyspark.sql import SparkSession
from pyspark.sql.streaming.query import StreamingQuery

# Spark is asked about tasks only after this time, when most batches are over.
_QUIET_S = 2.0
_INITIALIZING = "Initializing sources"


class LifeSigns:
    """The signs of life of a query: it waits for a trigger, or a batch or a task has ended.

    A long task or transaction shows none until it ends. The tasks of the whole session count,
    because the job has one query.

    Args:
        spark: the Spark session.
    """

    def __init__(self, spark: SparkSession) -> None:
        self.spark = spark
        self._last_s = time.monotonic()
        self._done: list[tuple[int, int]] = []

    @property
    def last_s(self) -> float:
        """The time of the last sign, by ``time.monotonic``."""
        return self._last_s

    @property
    def silence_s(self) -> float:
        """The seconds since the last sign."""
        return time.monotonic() - self._last_s

    def note(self) -> None:
        """Note a sign of life."""
        self._last_s = time.monotonic()

    def look(self, query: StreamingQuery) -> None:
        """Look for signs of life in the query's state and among Spark's tasks."""
        status: Any = query._jsq.status()
        if not status.isTriggerActive():
            # Before its first batch a query asks the brokers where its topics begin.
            if status.message() != _INITIALIZING:
                self.note()
        elif self.silence_s > _QUIET_S:
            done = [(it.stageId, it.numCompletedTasks) for it in self._iter_stages()]
            if done != self._done:
                self._done = done
                self.note()

    def describe_wait(self) -> str:
        """Describe in a phrase what a query without signs of life waits for."""
        stages = list(self._iter_stages())
        if not stages:
            return "no task runs: the driver waits for Kafka, the checkpoint or its own memory"
        running = " and ".join(
            f"{it.numActiveTasks} of the {it.numTasks} tasks of stage {it.stageId}" for it in stages
        )
        executors = [
            f"{it.host}:{it.port}"
            for it in self.spark.sparkContext.statusTracker().getExecutorInfos()
            if it.numRunningTasks
        ]
        return f"{running} run, on {', '.join(executors) or 'no executor'}"

    def _iter_stages(self) -> Iterator[SparkStageInfo]:
        """Iterate over the active stages in order."""
        tracker = self.spark.sparkContext.statusTracker()
        for stage in sorted(tracker.getActiveStageIds()):
            info = tracker.getStageInfo(stage)
            if info is not None:
                yield info
