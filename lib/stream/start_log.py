"""Logs with what a job starts, a line each, and what a start waits for that takes long."""

from __future__ import annotations

import logging
import platform
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from pyspark import __version__ as pyspark_version
from pyspark.sql import SparkSession

from lib import __version__
from lib.background import Background
from lib.kafka.view import KafkaView
from lib.score.base import ModelBackend
from lib.settings.command import START_LOGGER
from lib.settings.jobs.score_stream import ScoreStreamSettings
from lib.setup.places import IS_INSTALLED, PROJECT_ROOT
from lib.stream.route import Route
from lib.stream.running_query import RunningQuery
from lib.stream.trial.models import NO_TRIAL, Trial
from lib.telemetry.figures import Program
from lib.telemetry.state import JobState, State
from lib.waiting import Reminder

logger = logging.getLogger(START_LOGGER)

_IMPORTED_S = time.time()
_LOOK_S = 0.5
# The first line about a wait comes after this time.
_FIRST_REMINDER_S = 10.0
# More partitions than this are counted, not listed.
_MOST_LISTED = 16
_COMMITTERS = {
    "driver": "the driver commits each batch in a transaction",
    "executor": "each task commits its partition in a transaction",
    "spark": "Spark's own sink writes",
}


class StartLog(Background):
    """Tells what the job starts with, and while it is open, what a long start waits for.

    Args:
        job: the state of the job, which gets what the start waits for too; None for none.
    """

    def __init__(self, job: JobState | None = None) -> None:
        super().__init__("start log", patience_s=0.0)
        self._job = job or JobState()
        self._waits_for: tuple[str, float] | None = None

    @contextmanager
    def waiting_for(self, what: str, state: State = State.STARTING) -> Iterator[None]:
        """Mark a block of the start.

        Args:
            what: a phrase for the log that names what the block waits for.
            state: the state of the job within the block.
        """
        before = self._waits_for
        self._job.enter(state, f"waits for {what}")
        self._waits_for = (what, time.monotonic())
        try:
            yield
        finally:
            self._waits_for = before and (before[0], time.monotonic())

    def tell_program(self) -> Program:
        """Tell versions and commit, and return them."""
        commit = find_commit() or "unknown"
        program = Program(__version__, commit, pyspark_version, platform.python_version())
        logger.info(
            "version %s, commit %s, Spark %s, Python %s",
            *(program.version, program.commit, program.spark, program.python),
        )
        return program

    def tell_kafka(self, settings: ScoreStreamSettings, view: KafkaView) -> None:
        """Tell brokers and topics."""
        protocol = settings.kafka.get("security.protocol", "PLAINTEXT").upper()
        logger.info(
            "brokers %s at %s, %s",
            *(", ".join(map(str, view.brokers)), settings.bootstrap_servers, protocol),
        )
        source, predictions, *others = (
            f"{name} (partitions: {view.partitions[name]})"
            for name in (settings.input_topic, *settings.output_topics.values())
        )
        named = zip(list(settings.output_topics)[1:], others, strict=True)
        rest = ", ".join(f"{what} {topic}" for what, topic in named)
        logger.info("topics %s -> %s, %s", source, predictions, rest)

    def tell_model(self, scorer: ModelBackend, route: Route, trial: Trial = NO_TRIAL) -> None:
        """Tell model, engine and threshold, and the models that score beside it."""
        logger.info(
            "model %s, threshold %g, records read by %s, scored by %s",
            *(scorer.scored_by, scorer.threshold),
            *(_name_engine(route.decode), _name_engine(route.score)),
        )
        if trial.challenger is not None:
            logger.info(
                "challenger %s, threshold %g, answers %g of the records instead",
                *(trial.challenger.name, trial.challenger.scorer.threshold, trial.share),
            )
        for shadow in trial.shadows:
            logger.info(
                "shadow %s, threshold %g, answers beside it",
                *(shadow.name, shadow.scorer.threshold),
            )

    def tell_query(
        self, spark: SparkSession, settings: ScoreStreamSettings, route: Route, stream: RunningQuery
    ) -> None:
        """Tell guarantee, positions and the address of Spark's UI, and that the query runs."""
        mode = ", real-time" if settings.is_real_time else ""
        logger.info("guarantee %s%s: %s", settings.delivery, mode, _COMMITTERS[route.commit])
        if stream.sink is None:
            logger.info("positions are those of the checkpoint %s", settings.checkpoint)
        else:
            logger.info(
                "group %s at %s (%s)",
                *(settings.query_name, describe_positions(stream.sink.positions)),
                stream.sink.plan.reason,
            )
        logger.info("Spark's UI %s", spark.sparkContext.uiWebUrl or "is switched off")
        logger.info("ready after %.1f s: the query runs", time.time() - find_begin_s(spark))
        self._stopped.set()

    def _run(self) -> None:
        told: tuple[str, float] | None = None
        reminder = Reminder(_FIRST_REMINDER_S)
        while not self._stopped.wait(_LOOK_S):
            waits_for = self._waits_for
            if waits_for != told:
                told, reminder = waits_for, Reminder(_FIRST_REMINDER_S)
            if waits_for is None:
                continue
            waited_s = time.monotonic() - waits_for[1]
            if reminder.is_due(waited_s):
                logger.info("the start waits for %s, since %.0f s", waits_for[0], waited_s)


def find_commit() -> str | None:
    """Find the commit of the clone that the program runs from; None where that is not known."""
    if IS_INSTALLED or not (PROJECT_ROOT / ".git").exists():
        return None
    # The clone may belong to somebody else than the user of the job.
    git = ["git", "-c", f"safe.directory={PROJECT_ROOT}", "-C", str(PROJECT_ROOT)]
    try:
        done = subprocess.run(
            [*git, "rev-parse", "--short=12", "HEAD"],
            capture_output=True,
            text=True,
            timeout=5,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None


def find_begin_s(spark: SparkSession) -> float:
    """Find when the job began, in seconds since 1970; spark-submit's JVM begins before Python."""
    jvm: Any = spark._jvm
    started_ms = jvm.java.lang.management.ManagementFactory.getRuntimeMXBean().getStartTime()
    return min(_IMPORTED_S, int(started_ms) / 1000)


def describe_positions(positions: Mapping[int, int | None]) -> str:
    """Describe positions as ``0:120,1:95``, the form of ``jobs/offsets.py --to``."""
    listed = [f"{p}:{'none' if at is None else at}" for p, at in sorted(positions.items())]
    if len(listed) <= _MOST_LISTED:
        return ",".join(listed)
    return f"{','.join(listed[:_MOST_LISTED])},… ({len(listed)} partitions)"


def _name_engine(engine: str) -> str:
    return "Python workers" if engine == "workers" else "the JVM"
