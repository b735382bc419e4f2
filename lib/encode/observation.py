"""Lets Spark count messages while its own sink writes them, where no sink of ours can."""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

import pyarrow as pa
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from lib.messages.bins import count_bins
from lib.messages.columns import BINS, EVENT_TIME, OUTCOME, RECORD_TIME
from lib.messages.dead_letter import HEADER_CLASS, DeadLetterFormat, ErrorType, OutputSettings
from lib.messages.tally import BOUNDS_S, Tally, Waits

#: The name of the observation, and of its counts of all messages.
OBSERVATION = "messages"
PREDICTIONS, DEAD_LETTERS = "predictions", "dead_letters"
#: The count of valid records without a probability.
FAILED = "failed"

_LABELS, _REJECTIONS, _SHADOWS = "labels", "rejections", "shadows"
_WAITS = {RECORD_TIME: "record_waits", EVENT_TIME: "event_waits"}


def add_waits(messages: DataFrame, output: OutputSettings) -> DataFrame:
    """Turn the times of a counted plan into waits, which :func:`observation_exprs` adds up.

    Args:
        messages: the messages, with ``lib.messages.columns.TALLY_COLUMNS`` if they are counted.
        output: the topics, and whether messages are counted.
    """
    if not output.is_counted:
        return messages
    # Spark's own current time is that of the batch's start.
    now_ms = F.reflect(F.lit("java.lang.System"), F.lit("currentTimeMillis")).cast("bigint")
    waits = {
        name: F.when(F.col(name).isNotNull(), F.greatest(now_ms - F.col(name), F.lit(0)))
        for name in _WAITS
    }
    return messages.withColumns(waits)


def observation_exprs(output: OutputSettings, *, failures: bool = False) -> Iterator[Column]:
    """Build the aggregates that count messages; see :func:`read_tally` for those of a counted plan.

    Args:
        output: the topics, and whether :func:`add_waits` has added columns to the messages.
        failures: whether to count the records on which a model in the JVM failed.
    """
    is_prediction = F.col("topic") == output.output_topic
    is_dead = F.col("topic") == output.dead_letter_topic
    yield F.count_if(is_prediction).alias(PREDICTIONS)
    yield F.count_if(is_dead).alias(DEAD_LETTERS)
    if failures:
        yield F.count_if(is_dead & is_failure_expr(output)).alias(FAILED)
    if output.is_counted:
        # Spark's aggregates have no counts by value. The labels of one batch are few bytes each.
        yield F.collect_list(F.when(is_prediction, F.col(OUTCOME))).alias(_LABELS)
        yield F.collect_list(F.when(is_dead, F.col(OUTCOME))).alias(_REJECTIONS)
        if output.shadow_topic:
            is_shadow = F.col("topic") == output.shadow_topic
            yield F.collect_list(F.when(is_shadow, F.col(OUTCOME))).alias(_SHADOWS)
        for column, name in _WAITS.items():
            yield waits_expr(F.col(column)).alias(name)
        if output.binning is not None:
            # An event of Spark is JSON, which holds no bytes.
            yield F.collect_list(F.base64(BINS)).alias(BINS)


def is_failure_expr(output: OutputSettings) -> Column:
    """Build whether a dead letter answers a valid record; see ``MessageCheck`` for the same."""
    if output.dead_letter_format is DeadLetterFormat.ENVELOPE:
        field = f'"error_type":"{ErrorType.INFERENCE}"'
        return F.contains(F.col("value").cast("string"), F.lit(field))
    inference = F.lit(str(ErrorType.INFERENCE)).cast("binary")
    return F.exists("headers", lambda it: (it["key"] == HEADER_CLASS) & (it["value"] == inference))


def waits_expr(wait_ms: Column) -> Column:
    """Build an array: the sum of all waits in milliseconds, and how many exceed each bound."""
    above = [F.count_if(wait_ms > int(bound * 1_000)) for bound in BOUNDS_S]
    return F.array(F.coalesce(F.sum(wait_ms), F.lit(0)), F.count(wait_ms), *above)


def read_tally(observed: Mapping[str, Any], output: OutputSettings) -> Tally | None:
    """Read the counts of an observation; None if the plan is not counted.

    The waits end when Spark made the message, because it does not tell when it was written.
    """
    if _LABELS not in observed:
        return None
    outcomes = {
        topic: dict(Counter(observed[name]))
        for topic, name in (
            (output.output_topic, _LABELS),
            (output.dead_letter_topic, _REJECTIONS),
            (output.shadow_topic, _SHADOWS),
        )
        if observed.get(name)
    }
    record, event = (_read_waits(observed[name]) for name in _WAITS.values())
    bins = [base64.b64decode(text) for text in observed.get(BINS, ())]
    return Tally(outcomes, record, event, bins=count_bins(pa.array(bins, pa.binary())))


def _read_waits(numbers: list[int]) -> Waits:
    sum_ms, *above = numbers
    return Waits(tuple(a - b for a, b in pairwise([*above, 0])), sum_ms / 1_000)
