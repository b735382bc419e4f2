"""Runs an ONNX classifier over named columns with onnxruntime.

It imports no pyspark, because a worker imports this module once, and scoring in process needs none.

The graph has one input for each column, shaped [n_rows, 1], with the column's name, or the model's
metadata say under ``columns`` whose it is. Or it has one input for all columns, whose names in
order the caller gives. Inputs are numbers, booleans or texts. An int64 input whose column the
metadata list under ``categories`` takes the position of the value in that list, or -1 for any other
value, so that no text passes through Python objects.

One output holds the probabilities: a tensor [n_rows, 2] or [n_rows, 1], or a map from class to
probability for each row. A single column is the probability of the second class. The classes stand
in the metadata under ``classes``, in the graph, or in the maps.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from lib.errors import ModelError, ModelMismatchError, SetupError, first_line
from lib.score.backends.onnx.graph import read_classes
from lib.score.backends.onnx.signature import (
    CLASSES_KEY,
    MISSING_KEY,
    Input,
    find_output,
    read_facts,
    read_inputs,
)

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from lib.decode.engines.arrow import Column

UNSEEN = -1

CPU = "CPUExecutionProvider"
#: The names in the setting → those of onnxruntime.
PROVIDERS = {"cpu": CPU, "cuda": "CUDAExecutionProvider"}

Values = npt.NDArray[Any]


class _Codes(dict[Any, int]):
    """Category → its position; looked up, :data:`UNSEEN` for any other text and for None."""

    def __missing__(self, value: Any) -> int:
        if value is None or isinstance(value, str):
            return UNSEEN
        raise TypeError(f"found a {type(value).__name__}, expected text")


class OnnxModel:
    """A model that is ready to score with one thread.

    Attributes:
        content: the bytes of the file.
        name: the name of the model, for messages.
        provider: "cpu" or "cuda".
        given_columns: the columns of a graph that takes them by position; None for no such graph.
        classes: the classes in the order of the probabilities; None if the graph does not tell.
        positive: the position of the class whose probability is computed, 0 or 1.

    Raises:
        SetupError: onnxruntime or its provider is missing.
        ModelError: the bytes are no model that scores columns.
    """

    def __init__(
        self,
        content: bytes,
        name: str,
        provider: str = "cpu",
        given_columns: Sequence[str] | None = None,
        positive: int = 1,
    ) -> None:
        self.content = content
        self.name = name
        self.provider = provider
        self.given_columns = given_columns
        self.positive = positive
        self._session = _open_session(content, name, provider)
        facts = read_facts(self._session)
        # Column → the input that says whether it is missing.
        self._indicators = {column: node for node, column in facts.get(MISSING_KEY, {}).items()}
        self.inputs = read_inputs(self._session, name, facts, given_columns)
        self._output = find_output(self._session, name)
        self.classes: Sequence[Any] | None = facts.get(CLASSES_KEY) or read_classes(
            content, self._output.name
        )
        self._lookups = {
            spec.name: _Codes({value: code for code, value in enumerate(spec.categories)})
            for spec in self.inputs
            if spec.categories is not None
        }

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that the model takes."""
        return tuple(spec.name for spec in self.inputs)

    def score_frame(self, features: pd.DataFrame) -> npt.NDArray[np.float64]:
        """Score a frame: the positive class's probability, float64 [n_rows], NaN for none.

        Raises:
            ModelMismatchError: a column is missing.
            ValueError, TypeError: a text is no number.
        """
        missing = [name for name in self.columns if name not in features.columns]
        if missing:
            raise ModelMismatchError(
                f"{self.name}: found features without the columns {missing},"
                f" expected {list(self.columns)}",
                hint="add the columns",
            )
        return self._score(
            {spec.name: self._read_series(features[spec.name], spec) for spec in self.inputs}
        )

    def score_records(self, records: Sequence[Mapping[str, Any]]) -> npt.NDArray[np.float64]:
        """Score records: the positive class's probability, float64 [n_rows].

        Raises:
            KeyError: a record lacks a column.
            ValueError, TypeError: a value is no number, or a category's is no text.
        """
        return self._score({spec.name: self._read_records(records, spec) for spec in self.inputs})

    def score_arrow(self, columns: Mapping[str, pa.Array]) -> npt.NDArray[np.float64]:
        """Score Arrow columns: the positive class's probability, float64 [n_rows]."""
        return self._score(
            {spec.name: _read_array(columns[spec.name], spec) for spec in self.inputs}
        )

    def score_columns(self, features: Mapping[str, Column]) -> npt.NDArray[np.float64]:
        """Score decoded columns: the positive class's probability, float64 [n_rows]."""
        return self._score(
            {spec.name: self._read_column(features[spec.name], spec) for spec in self.inputs}
        )

    def _read_column(self, column: Column, spec: Input) -> Values:
        if isinstance(column, np.ndarray):
            return column
        if spec.categories == column.allowed:
            return column.codes
        if spec.categories is None:
            return column.to_objects()
        lookup = self._lookups[spec.name]
        positions = np.array([lookup.get(value, UNSEEN) for value in column.allowed], np.int64)
        return positions[column.codes]

    def _read_series(self, column: pd.Series, spec: Input) -> Values:
        if spec.categories is not None or spec.type is np.object_:
            return self._read_values(column.tolist(), spec)
        return column.to_numpy(dtype=np.float64)

    def _read_records(self, records: Sequence[Mapping[str, Any]], spec: Input) -> Values:
        name = spec.name
        if spec.categories is None:
            return self._read_values([record[name] for record in records], spec)
        lookup = self._lookups[name]
        return np.array([lookup[record[name]] for record in records], np.int64)

    def _read_values(self, values: Sequence[Any], spec: Input) -> Values:
        if spec.categories is not None:
            lookup = self._lookups[spec.name]
            return np.array([lookup.get(value, UNSEEN) for value in values], np.int64)
        return np.array(values, dtype=object if spec.type is np.object_ else np.float64)

    def _score(self, columns: Mapping[str, Values]) -> npt.NDArray[np.float64]:
        feed: dict[str, Values] = {}
        shared: dict[str, list[Values]] = {}
        invalid: Values | None = None
        for spec in self.inputs:
            values = columns[spec.name]
            if values.dtype == np.float64:
                indicator = self._indicators.get(spec.name)
                if indicator is not None:
                    missing = np.isnan(values)
                    feed[indicator] = missing.astype(np.float32).reshape(-1, 1)
                    values = np.where(missing, 0.0, values)
                if spec.is_float:
                    wrong = np.isinf(values)
                else:
                    wrong = ~(np.floor(values) == values) | np.isinf(values)
                if wrong.any():
                    values = np.where(wrong, 0.0, values)
                    invalid = wrong if invalid is None else invalid | wrong
            column: Values = values.astype(spec.type, copy=False).reshape(-1, 1)
            if spec.is_alone:
                feed[spec.node] = column
            else:
                shared.setdefault(spec.node, []).append(column)
        feed |= {node: np.hstack(parts) for node, parts in shared.items()}
        probabilities = self._run(feed)
        if invalid is not None:
            probabilities[invalid] = np.nan
        return probabilities

    def _run(self, feed: dict[str, Values]) -> npt.NDArray[np.float64]:
        found: Any = self._session.run([self._output.name], feed)[0]
        if self._output.is_map:
            key = (self.classes or ())[self.positive]
            return np.array([row[key] for row in found], np.float64)
        probabilities = np.asarray(found, np.float64).reshape(len(found), -1)
        if probabilities.shape[1] == 1:  # that of the second class
            return probabilities[:, 0] if self.positive else 1 - probabilities[:, 0]
        return probabilities[:, self.positive]


def _read_array(array: pa.Array, spec: Input) -> Values:
    import pyarrow as pa
    import pyarrow.compute as pc

    if spec.categories is not None:
        positions = pc.index_in(array, value_set=pa.array(spec.categories, pa.string()))
        return np.asarray(positions.fill_null(UNSEEN))
    if spec.type is np.object_:
        return np.asarray(array.to_numpy(zero_copy_only=False), dtype=object)
    if array.null_count or not pa.types.is_floating(array.type):
        array = array.cast(pa.float64())
    return np.asarray(array.to_numpy(zero_copy_only=False), dtype=np.float64)


def _open_session(content: bytes, name: str, provider: str) -> Any:
    try:
        import onnxruntime  # type: ignore[import-untyped]  # it ships no types
    except ImportError as error:
        raise SetupError(
            "onnxruntime is not installed", hint="pip install onnxruntime, or use another backend"
        ) from error
    wanted = PROVIDERS[provider]
    available = onnxruntime.get_available_providers()
    if wanted not in available:
        raise SetupError(
            f"onnxruntime has no {wanted}: found {', '.join(available)}",
            hint="install onnxruntime-gpu, or use the provider cpu",
        )
    options = onnxruntime.SessionOptions()
    # Spark runs one task for each core, whose time a session with several threads would take.
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    # Its messages about a row may quote the row; the exception says the same.
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(content, options, providers=[wanted])
    except Exception as error:  # onnxruntime has an exception for each status
        text = first_line(str(error))
        hint = "export it again, or upgrade onnxruntime"
        if "locale" in text:  # the graph changes the case of texts
            hint = "install the locale that it names on each machine, such as en_US.UTF-8"
        raise ModelError(f"{name}: onnxruntime cannot open it: {text}", hint=hint) from error
    if wanted not in session.get_providers():  # onnxruntime would go on without it
        raise SetupError(
            f"onnxruntime cannot use {wanted} on this machine",
            hint="check the GPU's driver and CUDA, or use the provider cpu",
        )
    return session
