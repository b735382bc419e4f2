"""The one plan: records in, messages out. The stream, the batch replay and the tests call it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from pyspark.sql import DataFrame, SparkSession

from lib.decode.engines.spark import decode_records
from lib.decode.engines.workers import decode_in_workers, select_for_workers
from lib.encode.spark import encode_messages
from lib.messages.columns import MESSAGE_TYPES
from lib.messages.dead_letter import MessageSettings, OutputSettings
from lib.record.contract import Contract
from lib.score.scorer import BatchScorer
from lib.stream.one_pass import BatchPlan
from lib.stream.route import Route


class Scorer(Protocol):
    """What the plan needs of a model backend."""

    @property
    def threshold(self) -> float:
        """Smallest probability that is predicted as the positive label."""

    @property
    def scored_by(self) -> str:
        """Model and backend that really score, like ``model@3/spark``."""

    def with_probability(self, frame: DataFrame) -> DataFrame:
        """Append ``probability``: double in [0, 1], null where the model failed on a row."""

    def build_batch_scorer(self, session: SparkSession) -> BatchScorer:
        """The model as Python workers run it on whole batches, where they score."""


@dataclass(frozen=True)
class ScoringPlan:
    """How records become messages.

    Attributes:
        frame: what Spark computes: the messages, or what ``map_in_arrow`` takes.
        map_in_arrow: the part for Python workers; None where Spark does it all.
    """

    frame: DataFrame
    map_in_arrow: BatchPlan | None = None

    def to_messages(self) -> DataFrame:
        """Both parts together: ``lib.messages.columns.MESSAGE_SCHEMA``."""
        if self.map_in_arrow is None:
            return self.frame
        return self.frame.mapInArrow(self.map_in_arrow, MESSAGE_TYPES)


def score_records(
    records: DataFrame,
    scorer: Scorer,
    contract: Contract,
    output: OutputSettings,
    route: Route,
) -> DataFrame:
    """Check, score and encode records; see :func:`plan_scoring`.

    Returns:
        ``lib.messages.columns.MESSAGE_SCHEMA``.
    """
    return plan_scoring(records, scorer, contract, output, route).to_messages()


def plan_scoring(
    records: DataFrame,
    scorer: Scorer,
    contract: Contract,
    output: OutputSettings,
    route: Route,
) -> ScoringPlan:
    """Check, score and encode records. Pure: no action, no side effect; for stream and batch.

    Every input row becomes exactly one output row. An invalid record is scored on harmless
    stand-in values, so that no model stage can fail on it, and addressed to the dead letters.

    Args:
        records: the columns of ``lib.decode.engines.spark.SOURCE_COLUMNS``.
        scorer: a loaded model backend.
        contract: what a record has to look like.
        output: topics and format of the messages.
        route: who decodes and who scores.
    """
    settings = MessageSettings(contract, output, scorer.threshold, scorer.scored_by)
    if route.score == "workers":
        # In one pass over the bytes, where the model runs in Python anyway.
        score = scorer.build_batch_scorer(records.sparkSession)
        return ScoringPlan(select_for_workers(records), BatchPlan(score, settings))
    decode = decode_in_workers if route.decode == "workers" else decode_records
    decoded = decode(records, contract)
    scored = scorer.with_probability(decoded)
    return ScoringPlan(encode_messages(scored, settings))
