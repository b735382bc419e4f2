"""Chooses the way of records once, at the start: who decodes, who scores, who commits."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Literal

from pyspark.sql import SparkSession

from lib.score.base import ModelBackend
from lib.score.registry import BACKENDS
from lib.settings.base import Committer, DecoderChoice, PlanSettings
from lib.spark.session import is_local

logger = logging.getLogger(__name__)

Engine = Literal["jvm", "workers"]


@dataclass(frozen=True)
class Route:
    """The way that all records of a run take.

    Attributes:
        decode: the engine that reads and checks records: Spark's JVM, or Python workers.
        score: the engine of the model. Workers that score decode and encode in the same pass.
        commit: the place that commits messages: the driver or the executors, in Kafka transactions,
            or Spark's own sink.
        why: a phrase with the reason for the decoder.
    """

    decode: Engine
    score: Engine
    commit: Committer
    why: str

    @property
    def has_workers(self) -> bool:
        """Whether records pass through Python workers."""
        return "workers" in (self.decode, self.score)


def choose_route(spark: SparkSession, settings: PlanSettings, scorer: ModelBackend) -> Route:
    """Choose the route for a job, and log it.

    Args:
        spark: the Spark session.
        settings: the settings of the job.
        scorer: the loaded backend.
    """
    route = find_route(
        is_native=scorer.is_native,
        workers_decode=BACKENDS[scorer.backend_type].workers_decode,
        decoder=settings.decoder,
        committer=settings.committer,
        is_real_time=settings.is_real_time,
        is_local=is_local(spark),
    )
    logger.info(
        "route decode=%s score=%s commit=%s why=%s",
        *(route.decode, route.score, route.commit, route.why),
    )
    return route


def find_route(
    *,
    is_native: bool,
    workers_decode: bool,
    decoder: DecoderChoice,
    committer: Committer,
    is_real_time: bool,
    is_local: bool,
) -> Route:
    """Find the way for one combination of settings, model and session. Pure.

    Args:
        is_native: whether Spark's JVM evaluates the model that was loaded.
        workers_decode: whether ``auto`` takes Python workers for its backend.
        decoder: the setting.
        committer: the setting.
        is_real_time: whether records are scored one by one, for which Spark has no Python workers.
        is_local: whether executors are part of this process; others may have no Python.
    """
    if not is_native:
        return Route("workers", "workers", committer, "the model scores in Python workers")
    if decoder != "auto":
        engine: Engine = "workers" if decoder == "python" else "jvm"
        return Route(engine, "jvm", committer, f"--decoder {decoder}")
    if not workers_decode:
        return Route("jvm", "jvm", committer, "the backend needs no Python")
    if is_real_time:
        return Route("jvm", "jvm", committer, "real-time mode has no Python workers")
    if not is_local:
        return Route("jvm", "jvm", committer, "executors may have no Python")
    return Route("workers", "jvm", committer, "Python workers decode faster")
