"""Reads what a model has answered for a record: a prediction, or a shadow's answer. Pure."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from lib.record.contract import Contract
from lib.record.prediction import FIXED_NAMES, Part, list_fields

_ERROR = FIXED_NAMES[Part.SHADOW_ERROR]

#: The part that the answers of all models for a record share: key, identifier and event time.
Record = tuple[bytes | None, str, str | None]


class Answer(NamedTuple):
    """A model's answer for a record.

    Attributes:
        record: the key, the identifier and the event time; the time is None if it is not known.
        processed: the time of scoring, in ISO 8601 in UTC, so that texts sort by time.
        model: the model and the backend, like ``NAME@3/onnx``.
        probability: the probability of the positive label; None if the model failed.
        label: the predicted label; None if the model failed.
        error: the class of the exception with which the model failed; empty if it did not.
    """

    record: Record
    processed: str
    model: str
    probability: float | None
    label: str | None
    error: str = ""

    @property
    def identifier(self) -> str:
        """The identifier of the record's subject."""
        return self.record[1]


class AnswerReader:
    """Reads the messages of a topic of predictions, whose fields the contract names.

    Args:
        contract: the contract of the records.
    """

    def __init__(self, contract: Contract) -> None:
        self._names = {field.part: field.name for field in list_fields(contract)}
        # One text serves all messages.
        self._labels = {it: it for it in (contract.negative_label, contract.positive_label)}

    def read(self, key: bytes | None, value: bytes | None) -> Answer:
        """Read a message.

        Raises:
            ValueError: the message is no prediction of this contract, and no shadow's answer.
        """
        fields: Any = json.loads(value or b"")
        if not isinstance(fields, dict):
            raise ValueError("a prediction is a JSON object")
        identifier, processed, model = (
            self._read_text(fields, part) for part in (Part.IDENTIFIER, Part.PROCESSED, Part.MODEL)
        )
        record = (key, identifier, fields.get(self._names[Part.EVENT_TIME]))
        # Few times and models occur, each in many messages.
        processed, model = sys.intern(processed), sys.intern(model)
        probability = fields.get(self._names[Part.PROBABILITY])
        if probability is None:
            error = str(fields.get(_ERROR) or "unknown")
            return Answer(record, processed, model, None, None, error)
        label = self._labels.get(self._read_text(fields, Part.LABEL))
        if not _is_probability(probability) or label is None:
            raise ValueError("a prediction has a probability and one of two labels")
        return Answer(record, processed, model, float(probability), label)

    def _read_text(self, fields: Mapping[str, Any], part: Part) -> str:
        text = fields.get(self._names[part])
        if not isinstance(text, str):
            raise ValueError(f"a prediction has a text in {self._names[part]}")
        return text


def _is_probability(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1


def spell_moment(moment: datetime) -> str:
    """Spell a moment as predictions do, so that texts sort by time."""
    text = moment.astimezone(UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


def is_model(model: str, name: str) -> bool:
    """Tell whether a model of a prediction is the one of a name, with its backend or without."""
    return name in (model, model.rpartition("/")[0])
