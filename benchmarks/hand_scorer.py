"""Score in a hand-written consumer: bytes in, text out, one call of the model.

The hand-written loop and the peers use this module. The peers' environments have neither Spark nor
this project's dependencies, so it takes only the contract from ``lib``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from operator import itemgetter
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import orjson

from benchmarks.telco import CUSTOMER, EVENT_TIME

_BLANKS = {field.name: field.blank for field in CUSTOMER.numeric if field.blank is not None}
# This is one call in C for all fields of a record.
_read = itemgetter(*CUSTOMER.feature_names, CUSTOMER.identifier.name, EVENT_TIME)
_UNREADABLE = (orjson.JSONDecodeError, KeyError, TypeError)
# These are the fields of lib.record.prediction. Formatting is twice as fast as encoding a dict.
_PREDICTION = (
    '{"customerID":"%s","churn_probability":%.6f,"prediction":"%s","event_ts":"%s"'
    ',"processed_ts":"%s","model_version":"%s"}'
)
# Training writes these names: the column of each input, the list of each column's categories, and
# the model's output.
_COLUMNS_KEY = "columns"
_CATEGORIES_KEY = "categories"
_OUTPUT = "probabilities"

Columns = dict[str, Sequence[Any]]


class _Model(Protocol):
    def score(self, columns: Columns) -> list[float]:
        """Return the probability of each row."""


class _SklearnModel:
    """A scikit-learn model that scores a batch of columns with one call of the pipeline."""

    def __init__(self, path: Path) -> None:
        import joblib

        self._pipeline = joblib.load(path)

    def score(self, columns: Columns) -> list[float]:
        """Return the probability of each row."""
        import pandas as pd

        frame = pd.DataFrame(columns)
        for name, blank in _BLANKS.items():
            frame[name] = pd.to_numeric(frame[name], errors="coerce").fillna(blank)
        probabilities: list[float] = self._pipeline.predict_proba(frame)[:, 1].tolist()
        return probabilities


class _OnnxModel:
    """An ONNX model that scores a batch of columns with one call of onnxruntime."""

    def __init__(self, path: Path) -> None:
        import onnxruntime  # type: ignore[import-untyped]  # onnxruntime has no types

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(str(path), options)
        metadata = self._session.get_modelmeta().custom_metadata_map
        self._codes = {
            name: {value: code for code, value in enumerate(values)}
            for name, values in json.loads(metadata[_CATEGORIES_KEY]).items()
        }
        columns = json.loads(metadata[_COLUMNS_KEY])
        # Column → the input that takes it, and the type of its numbers.
        self._inputs = {
            columns[node.name]: (
                node.name,
                np.int64 if node.type == "tensor(int64)" else np.float32,
            )
            for node in self._session.get_inputs()
        }

    def score(self, columns: Columns) -> list[float]:
        """Return the probability of each row."""
        feed = {}
        for name, column in columns.items():
            values = column
            if name in self._codes:
                codes = self._codes[name]
                values = [codes.get(value, -1) for value in column]
            elif name in _BLANKS:
                values = [float(value) if value != " " else _BLANKS[name] for value in column]
            node, kind = self._inputs[name]
            feed[node] = np.array(values, dtype=kind).reshape(-1, 1)
        probabilities: list[float] = self._session.run([_OUTPUT], feed)[0][:, 1].tolist()
        return probabilities


class Scorer:
    """A scorer of records; each process has one.

    Args:
        model: ``pipeline.joblib`` or ``pipeline.onnx`` of a stored version.
        threshold: the smallest probability that is predicted as "Yes".
        scored_by: the predictions' ``model_version``.
    """

    def __init__(self, model: Path, threshold: float, scored_by: str) -> None:
        build: type[_OnnxModel | _SklearnModel] = (
            _OnnxModel if model.suffix == ".onnx" else _SklearnModel
        )
        self._model: _Model = build(model)
        self._threshold = threshold
        self._scored_by = scored_by

    def score(self, values: Sequence[bytes | None]) -> list[str | None]:
        """Turn records into predictions.

        Args:
            values: JSON objects.

        Returns:
            JSON of each prediction; None for a value that is no JSON object with all fields.
        """
        try:
            return list(self._predict([_read(orjson.loads(value or b"")) for value in values]))
        except _UNREADABLE:  # this is rare: look for the unreadable records one by one
            rows = [_read_or_none(value) for value in values]
        readable = [row for row in rows if row is not None]
        predictions = iter(self._predict(readable) if readable else [])
        return [None if row is None else next(predictions) for row in rows]

    def score_record(self, record: Mapping[str, Any]) -> str:
        """Turn one parsed record, which has all fields, into the JSON of its prediction."""
        return self._predict([_read(record)])[0]

    def _predict(self, rows: Sequence[tuple[Any, ...]]) -> list[str]:
        *columns, identifiers, event_times = zip(*rows, strict=True)
        probabilities = self._model.score(dict(zip(CUSTOMER.feature_names, columns, strict=True)))
        now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        threshold, scored_by = self._threshold, self._scored_by
        return [
            _PREDICTION
            % (identifier, chance, "Yes" if chance >= threshold else "No", at, now, scored_by)
            for identifier, chance, at in zip(identifiers, probabilities, event_times, strict=True)
        ]


def _read_or_none(value: bytes | None) -> tuple[Any, ...] | None:
    try:
        row: tuple[Any, ...] = _read(orjson.loads(value or b""))
    except _UNREADABLE:
        return None
    return row
