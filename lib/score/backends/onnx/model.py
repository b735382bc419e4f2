"""Runs an ONNX classifier over named columns with onnxruntime.

It imports no pyspark, because a worker imports this module once, and scoring in process needs none.

The graph has one input for each column, shaped [n_rows, 1]: int64, float, double or string. It has
the column's name, or the model's metadata say under ``columns`` whose it is. An int64 input whose
column the metadata list under ``categories`` takes the position of the value in that list, or -1
for any other value, so that no text passes through Python objects. The probability of class 1 is
the second column of the output ``probabilities``.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from lib.errors import ModelError, ModelMismatchError, SetupError, first_line

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from lib.decode.engines.arrow import Column

#: The key of the model's metadata with column → list of its categories, as JSON.
CATEGORIES_KEY = "categories"
#: The key with input → column, for inputs that do not have their column's name.
COLUMNS_KEY = "columns"
#: The key with input → column that may be missing. The input takes 1.0 where the column is NaN and
#: 0.0 elsewhere, and the column's own input 0.0 there. NaN in another column gives no probability.
MISSING_KEY = "missing"
OUTPUT = "probabilities"
UNSEEN = -1

CPU = "CPUExecutionProvider"
#: The names in the setting → those of onnxruntime.
PROVIDERS = {"cpu": CPU, "cuda": "CUDAExecutionProvider"}

_NUMPY_TYPES: dict[str, type] = {
    "tensor(int64)": np.int64,
    "tensor(float)": np.float32,
    "tensor(double)": np.float64,
    "tensor(string)": np.object_,
}

Values = npt.NDArray[Any]


class _Codes(dict[Any, int]):
    """Category → its position; looked up, :data:`UNSEEN` for any other text and for None."""

    def __missing__(self, value: Any) -> int:
        if value is None or isinstance(value, str):
            return UNSEEN
        raise TypeError(f"found a {type(value).__name__}, expected text")


@dataclass(frozen=True)
class Input:
    """One input of the graph.

    Attributes:
        node: the graph's name of the input.
        name: the name of the column.
        type: the type that the graph needs.
        categories: the values whose positions it takes; None if it takes the values.
    """

    node: str
    name: str
    type: type
    categories: tuple[str, ...] | None


class OnnxModel:
    """A model that is ready to score with one thread.

    Attributes:
        content: the bytes of the file.
        name: the name of the model, for messages.
        provider: "cpu" or "cuda".

    Raises:
        SetupError: onnxruntime or its provider is missing.
        ModelError: the bytes are no model that scores columns.
    """

    def __init__(self, content: bytes, name: str, provider: str = "cpu") -> None:
        self.content = content
        self.name = name
        self.provider = provider
        self._session = _open_session(content, name, provider)
        # Column → the input that says whether it is missing.
        self._indicators = _read_indicators(self._session)
        self.inputs = _read_inputs(self._session, name, self._indicators.values())
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
        """Score a frame: probability of class 1, float64 [n_rows], NaN if a number is missing.

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
        """Score records: probability of class 1, float64 [n_rows].

        Raises:
            KeyError: a record lacks a column.
            ValueError, TypeError: a value is no number, or a category's is no text.
        """
        return self._score({spec.name: self._read_records(records, spec) for spec in self.inputs})

    def score_arrow(self, columns: Mapping[str, pa.Array]) -> npt.NDArray[np.float64]:
        """Score Arrow columns: probability of class 1, float64 [n_rows]."""
        return self._score(
            {spec.name: _read_array(columns[spec.name], spec) for spec in self.inputs}
        )

    def score_columns(self, features: Mapping[str, Column]) -> npt.NDArray[np.float64]:
        """Score decoded columns: probability of class 1, float64 [n_rows]."""
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
        invalid: Values | None = None
        for spec in self.inputs:
            values = columns[spec.name]
            if values.dtype == np.float64:
                indicator = self._indicators.get(spec.name)
                if indicator is not None:
                    missing = np.isnan(values)
                    feed[indicator] = missing.astype(np.float32).reshape(-1, 1)
                    values = np.where(missing, 0.0, values)
                wrong = ~np.isfinite(values)
                if spec.type is np.int64:
                    wrong |= np.floor(values) != values
                if wrong.any():
                    values = np.where(wrong, 0.0, values)
                    invalid = wrong if invalid is None else invalid | wrong
            feed[spec.node] = values.astype(spec.type, copy=False).reshape(-1, 1)
        probabilities: npt.NDArray[np.float64] = self._session.run([OUTPUT], feed)[0][:, 1].astype(
            np.float64
        )
        if invalid is not None:
            probabilities[invalid] = np.nan
        return probabilities


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
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(content, options, providers=[wanted])
    except Exception as error:  # onnxruntime has an exception for each status
        raise ModelError(
            f"{name}: onnxruntime cannot open it: {first_line(str(error))}",
            hint="export it again, or upgrade onnxruntime",
        ) from error
    if wanted not in session.get_providers():  # onnxruntime would go on without it
        raise SetupError(
            f"onnxruntime cannot use {wanted} on this machine",
            hint="check the GPU's driver and CUDA, or use the provider cpu",
        )
    return session


def _read_indicators(session: Any) -> dict[str, str]:
    """Read column → the input that says whether the column is missing."""
    return {column: indicator for indicator, column in _read_fact(session, MISSING_KEY).items()}


def _read_fact(session: Any, key: str) -> dict[str, Any]:
    """Read an object in the model's metadata; empty if there is none of that name."""
    held: dict[str, Any] = json.loads(session.get_modelmeta().custom_metadata_map.get(key, "{}"))
    return held


def _read_inputs(session: Any, name: str, indicators: Collection[str]) -> tuple[Input, ...]:
    categories, columns = _read_fact(session, CATEGORIES_KEY), _read_fact(session, COLUMNS_KEY)
    inputs = []
    for node in session.get_inputs():
        if node.name in indicators:
            continue
        if node.type not in _NUMPY_TYPES:
            raise ModelError(
                f"{name}: input {node.name} is a {node.type}, expected {', '.join(_NUMPY_TYPES)}",
                hint="export it with one input of such a type for each column",
            )
        column = columns.get(node.name, node.name)
        values = categories.get(column)
        allowed = None if values is None else tuple(values)
        inputs.append(Input(node.name, column, _NUMPY_TYPES[node.type], allowed))
    if OUTPUT not in [node.name for node in session.get_outputs()]:
        raise ModelError(
            f"{name}: found no output {OUTPUT}",
            hint="export a classifier with skl2onnx and the option zipmap=False",
        )
    return tuple(inputs)
