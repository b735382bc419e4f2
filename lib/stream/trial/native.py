"""Lets a challenger in Spark's JVM answer a share of the records, by the hash of ``buckets.py``."""

from __future__ import annotations

from typing import Protocol

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from lib.encode.spark import IS_CHALLENGERS
from lib.stream.trial.buckets import BUCKETS, HASHED_BYTES

_CHAMPIONS = "champions_probability"


class Scorer(Protocol):
    """The part of a model backend that is needed here."""

    def with_probability(self, frame: DataFrame) -> DataFrame:
        """Append ``probability``: double in [0, 1], null for a row on which the model failed."""


def score_by_two(
    decoded: DataFrame, champion: Scorer, challenger: Scorer, share: float
) -> DataFrame:
    """Let two models score, and take the probability of the one that answers each row.

    Spark leaves out an expression of SQL that is not taken; a ``PipelineModel`` scores each row.

    Args:
        decoded: the columns of ``decode_records``.
        champion: the model that answers the others.
        challenger: the model that answers the share.
        share: the share in (0, 1).

    Returns:
        The frame with ``probability`` and :data:`lib.encode.spark.IS_CHALLENGERS`.
    """
    marked = decoded.withColumn(IS_CHALLENGERS, chosen_expr(share))
    scored = champion.with_probability(marked).withColumnRenamed("probability", _CHAMPIONS)
    scored = challenger.with_probability(scored)
    chosen = F.when(F.col(IS_CHALLENGERS), F.col("probability")).otherwise(F.col(_CHAMPIONS))
    return scored.withColumn("probability", chosen).drop(_CHAMPIONS)


def chosen_expr(share: float) -> Column:
    """Build what :func:`lib.stream.trial.buckets.is_chosen` tells."""
    by_place = F.hash("source_partition", "source_offset")
    by_key = F.hash(F.substring("source_key", 1, HASHED_BYTES))
    hashed = F.when(F.col("source_key").isNull(), by_place).otherwise(by_key)
    return F.pmod(hashed, F.lit(BUCKETS)) < F.lit(round(share * BUCKETS))
