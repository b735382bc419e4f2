"""Builds the plan from records to messages, for the stream, the batch replay and the tests."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from pyspark.sql import DataFrame, SparkSession

from lib.decode.engines.spark import decode_records
from lib.decode.engines.workers import decode_in_workers, select_for_workers
from lib.encode.spark import encode_messages
from lib.messages.columns import describe_columns
from lib.messages.dead_letter import MessageSettings, OutputSettings
from lib.record.contract import Contract
from lib.score.scorer import BatchScorer
from lib.score.workers.failures import TOLERANT, FailurePolicy
from lib.stream.one_pass import BatchPlan
from lib.stream.route import Route
from lib.stream.trial.batch_plan import TrialBatchPlan
from lib.stream.trial.models import NO_TRIAL, Trial
from lib.stream.trial.native import score_by_two


class Scorer(Protocol):
    """The part of a model backend that the plan needs."""

    @property
    def threshold(self) -> float:
        """The smallest probability that is predicted as the positive label."""

    @property
    def scored_by(self) -> str:
        """The model and the backend that really score, such as ``model@3/spark``."""

    def with_probability(self, frame: DataFrame) -> DataFrame:
        """Append ``probability``: double in [0, 1], null for a row on which the model failed."""

    def build_batch_scorer(self, session: SparkSession) -> BatchScorer:
        """Build the scorer for batches in Python workers, if they score."""


@dataclass(frozen=True)
class ScoringPlan:
    """The plan from records to messages.

    Attributes:
        frame: the part for Spark: the messages, or the input of ``map_in_arrow``.
        map_in_arrow: the part for Python workers; None if Spark does everything.
    """

    frame: DataFrame
    map_in_arrow: BatchPlan | TrialBatchPlan | None = None

    def to_messages(self) -> DataFrame:
        """Apply both parts; return the columns of ``lib.messages.columns.MESSAGE_SCHEMA``."""
        if self.map_in_arrow is None:
            return self.frame
        columns = self.map_in_arrow.settings.output.columns
        return self.frame.mapInArrow(self.map_in_arrow, describe_columns(columns))


def score_records(
    records: DataFrame,
    scorer: Scorer,
    contract: Contract,
    output: OutputSettings,
    route: Route,
    failures: FailurePolicy = TOLERANT,
    trial: Trial = NO_TRIAL,
) -> DataFrame:
    """Check, score and encode records; see :func:`plan_scoring`.

    Returns:
        The messages, with the columns of ``lib.messages.columns.MESSAGE_SCHEMA``.
    """
    return plan_scoring(records, scorer, contract, output, route, failures, trial).to_messages()


def plan_scoring(
    records: DataFrame,
    scorer: Scorer,
    contract: Contract,
    output: OutputSettings,
    route: Route,
    failures: FailurePolicy = TOLERANT,
    trial: Trial = NO_TRIAL,
) -> ScoringPlan:
    """Plan to check, score and encode records, without an action or a side effect.

    Every input row becomes exactly one output row. An invalid record is scored on harmless
    stand-in values, so that no model stage can fail on it, and addressed to the dead letters.

    Args:
        records: the columns of ``lib.messages.columns.SOURCE_COLUMNS``.
        scorer: a loaded model backend.
        contract: the contract of the records.
        output: the topics and the format of the messages.
        route: the route, which says who decodes and who scores.
        failures: the policy about rows on which the model fails; by default each is a dead letter.
        trial: the other models that score the same records, in the same engine.
    """
    if route.score == "workers":
        # If the model runs in Python anyway, workers do everything in one pass over the bytes.
        batches = plan_batches(records.sparkSession, scorer, contract, output, failures, trial)
        return ScoringPlan(select_for_workers(records), batches)
    settings = MessageSettings(contract, output, scorer.threshold, scorer.scored_by)
    decode = decode_in_workers if route.decode == "workers" else decode_records
    decoded = decode(records, contract)
    if trial.challenger is None:
        return ScoringPlan(encode_messages(scorer.with_probability(decoded), settings))
    scored = score_by_two(decoded, scorer, trial.challenger.scorer, trial.share)
    return ScoringPlan(encode_messages(scored, settings, trial.challenger.adapt(settings)))


def plan_batches(
    spark: SparkSession,
    scorer: Scorer,
    contract: Contract,
    output: OutputSettings,
    failures: FailurePolicy = TOLERANT,
    trial: Trial = NO_TRIAL,
) -> BatchPlan | TrialBatchPlan:
    """Plan the pass of a model that scores in Python workers; see :func:`plan_scoring`."""
    settings = MessageSettings(contract, output, scorer.threshold, scorer.scored_by)
    champion = BatchPlan(scorer.build_batch_scorer(spark), settings, failures)
    return trial.join(spark, champion)
