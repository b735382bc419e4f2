"""Build plans of several models for tests, and batches of records for them; they need no Spark."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa

from lib.messages.columns import SOURCE_COLUMNS
from lib.messages.dead_letter import MessageSettings, OutputSettings
from lib.messages.effects import Effects, FieldEffects, Reasons
from lib.stream.one_pass import BatchPlan
from lib.stream.trial.batch_plan import ChallengerPlan, ShadowPlan, TrialBatchPlan
from tests.support.telco import CUSTOMER
from tests.support.worker_scorers import FunctionScorer

KAFKA_TIME = datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=UTC)

Score = Callable[[Mapping[str, Any]], Any]


def give(probability: float) -> Score:
    """Return a model that gives every record the same probability."""
    return lambda features: np.full(len(features["tenure"]), probability)


def build_records(
    values: Sequence[bytes | None],
    keys: Sequence[bytes | None] | None = None,
    headers: Sequence[str | None] | None = None,
) -> pa.RecordBatch:
    """Build records of partition 3, whose offsets begin at 0 and whose keys are k0, k1, …"""
    count = len(values)
    names = [f"k{offset}".encode() for offset in range(count)] if keys is None else keys
    columns = {
        "source_key": pa.array(names, pa.binary()),
        "source_value": pa.array(values, pa.binary()),
        "source_headers": pa.array(headers or [None] * count, pa.string()),
        "source_topic": pa.array(["in"] * count),
        "source_partition": pa.array([3] * count, pa.int32()),
        "source_offset": pa.array(range(count), pa.int64()),
        "source_timestamp": pa.array([KAFKA_TIME] * count, pa.timestamp("us", "UTC")),
    }
    return pa.RecordBatch.from_pydict({name: columns[name] for name in SOURCE_COLUMNS})


def build_settings(
    model: str, threshold: float = 0.5, *, is_counted: bool = False, reason: str | None = None
) -> MessageSettings:
    """Build the settings of a model; ``reason`` names the one field that it gives as a reason."""
    reasons = None
    if reason is not None:
        reasons = Reasons(Effects(0.0, (FieldEffects(reason, 1.0),)), 1)
    output = OutputSettings(
        "out", "dead", "query", reasons=reasons, is_counted=is_counted, shadow_topic="shadows"
    )
    return MessageSettings(CUSTOMER, output, threshold, model)


def build_plan(score: Score, model: str, threshold: float = 0.5, **settings: Any) -> BatchPlan:
    """Build the plan of one model."""
    return BatchPlan(FunctionScorer(score), build_settings(model, threshold, **settings))


def build_shadow(score: Score, model: str, threshold: float = 0.5, **settings: Any) -> ShadowPlan:
    """Build a shadow, whose thread is its own."""
    chosen = build_settings(model, threshold, **settings)
    return ShadowPlan(FunctionScorer(score), chosen, uuid.uuid4().hex)


def build_trial(
    champion: BatchPlan,
    challenger: BatchPlan | None = None,
    share: float = 0.5,
    shadows: Sequence[ShadowPlan] = (),
) -> TrialBatchPlan:
    """Build the plan of several models."""
    rival = None if challenger is None else ChallengerPlan(challenger, share)
    return TrialBatchPlan(champion, rival, tuple(shadows))


@dataclass(frozen=True)
class Message:
    """A message as tests compare it.

    Attributes:
        topic, key, offset, headers, outcome: the columns.
        value: the JSON object, or the bytes of a dead letter.
    """

    topic: str
    key: bytes | None
    value: Any
    offset: int
    headers: Any
    outcome: str | None


def read(messages: pa.RecordBatch) -> list[Message]:
    """Read messages in their order."""
    return [
        Message(
            row["topic"],
            row["key"],
            row["value"] if row["topic"] == "dead" else json.loads(row["value"]),
            row["source_offset"],
            row["headers"],
            row.get("outcome"),
        )
        for row in messages.to_pylist()
    ]
