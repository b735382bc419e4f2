"""Checks that session, topic and model fit the mode, before the query starts."""

from __future__ import annotations

import logging
from typing import Any

from pyspark.sql import SparkSession

from lib.errors import SettingsError
from lib.score.base import ModelBackend
from lib.score.registry import rank_backends
from lib.settings.jobs.score_stream import ScoreStreamSettings
from lib.settings.real_time import (
    MIN_BATCH_SETTING,
    check_backend,
    check_batch,
    check_slots,
)
from lib.spark.task_slots import find_slots
from lib.stream.preflight import count_partitions
from lib.stream.route import Route

logger = logging.getLogger(__name__)


def check_mode(
    spark: SparkSession, settings: ScoreStreamSettings, scorer: ModelBackend, route: Route
) -> None:
    """Refuse a mode that Spark would refuse later, or in which it would leave records unread.

    Args:
        spark: the Spark session.
        settings: the settings of the job.
        scorer: the loaded backend.
        route: the route that was chosen for it.

    Raises:
        SettingsError: real-time mode cannot work with them; see ``lib.settings.real_time``. Or a
            shadow was named, and the champion scores in Spark's JVM.
        KafkaSetupError: the brokers do not tell about the input topic.
    """
    if settings.has_shadows:
        refuse_native("--shadow", scorer.scored_by, is_native=route.score == "jvm")
    if not settings.is_real_time:
        return
    check_backend(scorer.scored_by, is_native=not route.has_workers)
    check_batch(settings.real_time_batch, _read_minimum_ms(spark))
    partitions = count_partitions(settings)
    slots = find_slots(spark.sparkContext)
    if slots is None:
        logger.info("real-time mode needs a task slot for each partition partitions=%d", partitions)
    else:
        check_slots(slots, partitions, str(spark.sparkContext.master))


def refuse_native(flag: str, scored_by: str, *, is_native: bool) -> None:
    """Refuse a model in Spark's JVM where shadows score the same records.

    Args:
        flag: the flag that names a shadow.
        scored_by: model and backend that really score, as in ``model@3/sql``.
        is_native: whether it scores inside Spark's JVM.

    Raises:
        SettingsError: the model scores inside the JVM.
    """
    if is_native:
        workers = " or ".join(kind.name for kind in rank_backends() if not kind.is_native)
        raise SettingsError(
            f"{flag}: found the model {scored_by}, which scores inside Spark's JVM, expected one"
            " that scores in Python workers: only there shadows score the champion's records",
            hint=f"name a version that has such a form, and --backend auto, or {workers}, for the"
            " champion",
        )


def _read_minimum_ms(spark: SparkSession) -> int:
    jvm: Any = spark._jvm
    text = spark.conf.get(MIN_BATCH_SETTING)
    return int(jvm.org.apache.spark.network.util.JavaUtils.timeStringAsMs(text))
