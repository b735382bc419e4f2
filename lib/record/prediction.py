"""Defines the fields of a prediction, from which writers, readers and documents derive.

One more field is one more row of :func:`list_fields`, and one in the table of each encoder.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
import numpy.typing as npt

from lib.record.contract import Contract


class Part(StrEnum):
    """The contents that a field of a prediction may have."""

    IDENTIFIER = "identifier"  # the record's identifier
    PROBABILITY = "probability"  # that of the positive label, rounded to 6 decimals
    LABEL = "label"  # it follows from the model's threshold and the rounded probability
    EVENT_TIME = "event_time"  # the record's own, or else Kafka's timestamp if that is a time
    PROCESSED = "processed"  # UTC, ISO 8601: start of the micro-batch, or when a worker scored
    MODEL = "model"  # model and backend that scored, like ``model@3/spark``
    REASONS = "reasons"  # the fields that moved the score most, if the settings want any
    SHADOW_ERROR = "shadow_error"  # the class of an exception, if a shadow gave no answer


#: The last microsecond since 1970 that has a year of four digits. A Kafka timestamp beyond it is no
#: time, nor is a negative one: -1 means that there is none.
LAST_MICROSECOND = 253_402_300_799_999_999
#: The steps from 0 to 1 that a probability is rounded to: 6 decimals.
MILLION = 1_000_000


def count_millionths(probabilities: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """Round probabilities to 6 decimals, halves up, as predictions hold them.

    The label is decided on these, so that no reader sees a probability that contradicts it.

    Args:
        probabilities: float64 [n_rows] in [0, 1]; NaN counts as 0.

    Returns:
        The probabilities in millionths: int64 [n_rows].
    """
    rounded = np.floor(np.nan_to_num(probabilities) * MILLION + 0.5)
    return rounded.astype(np.int64)


def are_positive(probabilities: npt.NDArray[np.float64], threshold: float) -> npt.NDArray[np.bool_]:
    """Tell which probabilities, rounded to 6 decimals, reach the threshold: bool [n_rows]."""
    return count_millionths(probabilities) / MILLION >= threshold


@dataclass(frozen=True)
class PredictionField:
    """One field of a prediction.

    Attributes:
        part: the content of the field.
        name: the name in the JSON object, and of the column in Parquet.
        spark_type: the type of the column in Parquet.
        is_optional: whether the field is left out if its value is not known.
    """

    part: Part
    name: str
    spark_type: str = "string"
    is_optional: bool = False


#: The name of the event time if the contract has no such field.
DEFAULT_EVENT_TIME = "event_ts"
#: The names of the fields that have the same name in every domain.
FIXED_NAMES = {
    Part.PROCESSED: "processed_ts",
    Part.MODEL: "model_version",
    Part.REASONS: "reasons",
    Part.SHADOW_ERROR: "shadow_error",
}
# The values of all fields are texts in Parquet.
_REASONS_TYPE = "array<struct<feature: string, value: string, effect: double>>"


def list_fields(
    contract: Contract, *, reasons: bool = False, shadow_error: bool = False
) -> tuple[PredictionField, ...]:
    """List the fields of a prediction for records of a contract, in the order of writing.

    Args:
        contract: the contract.
        reasons: whether predictions carry reasons.
        shadow_error: whether they are those of a shadow that gave no probability.
    """
    names, time = contract.output, contract.event_time
    fields: tuple[PredictionField, ...] = (
        PredictionField(Part.IDENTIFIER, names.identifier),
        PredictionField(Part.PROBABILITY, names.probability, "double"),
        PredictionField(Part.LABEL, names.label),
        PredictionField(
            Part.EVENT_TIME, DEFAULT_EVENT_TIME if time is None else time.name, is_optional=True
        ),
        PredictionField(Part.PROCESSED, FIXED_NAMES[Part.PROCESSED]),
        PredictionField(Part.MODEL, FIXED_NAMES[Part.MODEL]),
    )
    if reasons:
        name = FIXED_NAMES[Part.REASONS]
        fields += (PredictionField(Part.REASONS, name, _REASONS_TYPE, is_optional=True),)
    if shadow_error:
        name = FIXED_NAMES[Part.SHADOW_ERROR]
        fields += (PredictionField(Part.SHADOW_ERROR, name, is_optional=True),)
    return fields


@dataclass(frozen=True)
class Prediction:
    """A prediction, read back.

    Attributes:
        identifier, probability, label, event_time, processed, model, reasons, shadow_error: see
            :class:`Part`. Probability and label are None in the message of a shadow that has an
            error, and nowhere else.
    """

    identifier: str
    probability: float | None
    label: str | None
    event_time: str | None
    processed: str
    model: str
    reasons: list[dict[str, Any]] | None = None
    shadow_error: str | None = None

    @classmethod
    def from_value(cls, value: bytes, contract: Contract) -> Prediction:
        """Read a prediction's value.

        Raises:
            ValueError: the value is no JSON object or lacks a field.
        """
        fields = json.loads(value)
        if not isinstance(fields, Mapping):
            raise ValueError("a prediction is a JSON object")
        try:
            values: dict[str, Any] = {
                str(field.part): fields.get(field.name) if field.is_optional else fields[field.name]
                for field in list_fields(contract, reasons=True, shadow_error=True)
            }
        except KeyError as error:
            raise ValueError(f"prediction lacks the field {error}") from error
        return cls(**values)
