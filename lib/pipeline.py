"""The one plan: records in, messages out. The stream, the batch replay and the tests call it."""

from __future__ import annotations

from typing import Protocol

from pyspark.sql import DataFrame

from lib.contract import Contract
from lib.decode_spark import decode_records
from lib.encode_spark import OutputSettings, encode_messages


class Scorer(Protocol):
    """What the plan needs of a model backend."""

    @property
    def threshold(self) -> float:
        """Smallest probability that is predicted as the positive label."""

    @property
    def scored_by(self) -> str:
        """Model and backend that really score, like ``churn@3/spark``."""

    def with_probability(self, frame: DataFrame) -> DataFrame:
        """Append ``probability``: double in [0, 1], null where the model failed on a row."""


def score_records(
    records: DataFrame, scorer: Scorer, contract: Contract, output: OutputSettings
) -> DataFrame:
    """Check, score and encode records. Pure: no action, no side effect; for stream and batch.

    Every input row becomes exactly one output row. An invalid record is scored on harmless
    stand-in values, so that no model stage can fail on it, and addressed to the dead letters.

    Args:
        records: the columns of ``lib.decode_spark.SOURCE_COLUMNS``.
        scorer: a loaded model backend.
        contract: what a record has to look like.
        output: topics and format of the messages.

    Returns:
        ``lib.sinks.columns.MESSAGE_COLUMNS``.
    """
    decoded = decode_records(records, contract)
    scored = scorer.with_probability(decoded)
    return encode_messages(
        scored, contract, output, threshold=scorer.threshold, model_version=scorer.scored_by
    )
