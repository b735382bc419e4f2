"""Builds the brake of a job from its settings."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from confluent_kafka import KafkaException
from pyspark.sql import SparkSession

from lib.errors import BrakeError, KafkaSetupError, ScoringError
from lib.kafka.admin import read_ends
from lib.kafka.connection.connect import connect
from lib.record.contract import Contract
from lib.settings.jobs.score_stream import ScoreStreamSettings
from lib.stream.brake.brake import Brake, BrakeRule
from lib.stream.brake.broken import name_place
from lib.stream.brake.memory import BrakeMemory
from lib.stream.brake.sample import build_look
from lib.stream.brake.window import Limit
from lib.telemetry.monitor import Monitor

logger = logging.getLogger(__name__)


def build_brake(
    spark: SparkSession, settings: ScoreStreamSettings, contract: Contract, monitor: Monitor
) -> Brake | None:
    """Build the brake; None if the settings ask for none.

    Raises:
        KafkaSetupError: the brokers do not tell which records are to be accepted.
    """
    if not settings.max_dead_letter_share:
        return None
    rule = BrakeRule(
        Limit(settings.max_dead_letter_share, settings.over),
        settings.brake == "stop",
        *(settings.input_topic, settings.output_topic, settings.dead_letter_topic),
    )
    look = build_look(settings.cluster, settings.input_topic, contract)
    if settings.once_accept_dead_letters:
        return Brake(rule, monitor.note_brake, look=look).pass_over(_accept(settings))
    if settings.delivery == "at-least-once":
        # There the batch that stopped the job has been written.
        return Brake(rule, monitor.note_brake, look=look)
    recent = BrakeMemory(spark, settings.checkpoint).load()
    return Brake(rule, monitor.note_brake, recent, look)


def remember(
    brake: Brake | None, spark: SparkSession, checkpoint: str, failure: ScoringError
) -> ScoringError:
    """Note what the brake has seen if it is the failure; return the failure."""
    if brake is not None and isinstance(failure, BrakeError):
        brake.engage()
        BrakeMemory(spark, checkpoint).save(brake.recent)
    return failure


def _accept(settings: ScoreStreamSettings) -> Mapping[int, int]:
    """Find the ends of the records that are accepted, and say so."""
    try:
        found = read_ends(connect(settings.cluster), settings.input_topic)
    except KafkaException as error:
        raise KafkaSetupError(f"topic {settings.input_topic}: {error.args[0].str()}") from error
    ends = {partition: end for partition, (_, end) in found.items()}
    logger.warning(
        "--once-accept-dead-letters: the brake does not judge the records before %s; take the flag"
        " away for the next start",
        ", ".join(name_place(settings.input_topic, *pair) for pair in sorted(ends.items())),
    )
    return ends
