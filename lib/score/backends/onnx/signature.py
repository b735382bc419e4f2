"""Reads which columns an ONNX graph takes, and which of its outputs holds the probabilities."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lib.errors import ModelError, ModelMismatchError

#: The key of the model's metadata with column → list of its categories, as JSON.
CATEGORIES_KEY = "categories"
#: The key with input → column, for inputs that do not have their column's name.
COLUMNS_KEY = "columns"
#: The key with input → column that may be missing. The input takes 1.0 where the column is NaN and
#: 0.0 elsewhere, and the column's own input 0.0 there.
MISSING_KEY = "missing"
#: The key with the list of the two classes, in the order of the probabilities.
CLASSES_KEY = "classes"
_KEYS = (CATEGORIES_KEY, COLUMNS_KEY, MISSING_KEY, CLASSES_KEY)
# The output that is taken if several could hold probabilities; skl2onnx names it so.
_OUTPUT = "probabilities"

_NUMPY_TYPES: dict[str, type] = {
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
    "tensor(bool)": np.bool_,
    "tensor(float)": np.float32,
    "tensor(double)": np.float64,
    "tensor(string)": np.object_,
}
_FLOATS = ("tensor(float)", "tensor(double)")


@dataclass(frozen=True)
class Input:
    """One column that the graph takes.

    Attributes:
        node: the graph's name of the input, which may hold several columns.
        name: the name of the column.
        type: the type that the graph needs.
        categories: the values whose positions it takes; None if it takes the values.
        is_alone: whether the input holds this column only.
    """

    node: str
    name: str
    type: type
    categories: tuple[str, ...] | None
    is_alone: bool = True

    @property
    def is_float(self) -> bool:
        """Whether the graph takes numbers with fractions, and NaN."""
        return self.type in (np.float32, np.float64)


@dataclass(frozen=True)
class Output:
    """The output that holds the probabilities.

    Attributes:
        name: the name of the output in the graph.
        is_map: whether it is a map from class to probability for each row, and not a tensor.
    """

    name: str
    is_map: bool


def read_facts(session: Any) -> dict[str, Any]:
    """Read what the model's metadata say in the keys of this module."""
    held = session.get_modelmeta().custom_metadata_map
    return {key: json.loads(held[key]) for key in _KEYS if key in held}


def read_inputs(
    session: Any, name: str, facts: Mapping[str, Any], given: Sequence[str] | None
) -> tuple[Input, ...]:
    """Read the columns that the graph takes.

    Args:
        session: the graph, opened by onnxruntime.
        name: the name of the model, for messages.
        facts: the result of :func:`read_facts`.
        given: the columns of a graph with one input for all; None if nobody has named them.

    Raises:
        ModelError: an input has a type that no column has.
        ModelMismatchError: the graph has one input for several columns, and nobody has named them,
            or as many as it takes.
    """
    categories, indicators = facts.get(CATEGORIES_KEY, {}), facts.get(MISSING_KEY, {})
    inputs: list[Input] = []
    nodes = [node for node in session.get_inputs() if node.name not in indicators]
    if given is not None and len(nodes) > 1:
        # Each would get all columns, also those that are constants which an exporter has left over.
        raise ModelMismatchError(
            f"{name}: found the inputs {', '.join(it.name for it in nodes)}, expected one for the"
            f" {len(given)} columns",
            hint="leave --columns out if each input is a column; if some are constants, export the"
            " model without the layer that they belong to, such as Normalization of Keras",
        )
    for node in nodes:
        if node.type not in _NUMPY_TYPES:
            raise ModelError(
                f"{name}: input {node.name} is a {node.type}, expected {', '.join(_NUMPY_TYPES)}",
                hint="export it with one input of such a type for each column",
            )
        for column in _name_columns(node, name, facts, given):
            values = categories.get(column)
            allowed = None if values is None else tuple(values)
            kind = _NUMPY_TYPES[node.type]
            inputs.append(Input(node.name, column, kind, allowed, _find_width(node) == 1))
    return tuple(inputs)


def _name_columns(
    node: Any, name: str, facts: Mapping[str, Any], given: Sequence[str] | None
) -> Sequence[str]:
    width = _find_width(node)
    if width == 1 and given is None:
        return [facts.get(COLUMNS_KEY, {}).get(node.name, node.name)]
    if given is not None and width in (None, len(given)):
        return given
    raise ModelMismatchError(
        f"{name}: found input {node.name} of {width or 'any number of'} columns without names,"
        f" expected {'one input for each column' if given is None else len(given)}",
        hint="name the columns in the order of the input: --columns A,B,…, or"
        " load_model(columns=[…])",
    )


def _find_width(node: Any) -> int | None:
    """Find how many columns an input has; None if any number."""
    if len(node.shape) != 2:
        return 1
    return node.shape[1] if isinstance(node.shape[1], int) else None


def find_output(session: Any, name: str) -> Output:
    """Find the output that holds the probabilities of two classes.

    Raises:
        ModelMismatchError: there is none, or it is not clear which.
    """
    nodes = session.get_outputs()
    maps = [it for it in nodes if it.type.startswith("seq(map(")]
    tensors = [it for it in nodes if it.type in _FLOATS and _holds_two(it.shape)]
    found = maps or [it for it in tensors if it.name == _OUTPUT] or tensors
    if len(found) == 1:
        return Output(found[0].name, bool(maps))
    described = ", ".join(f"{it.name} ({it.type}, shape {it.shape})" for it in nodes)
    raise ModelMismatchError(
        f"{name}: found the outputs {described}, expected one with probabilities of two classes",
        hint="export a classifier of two classes, with one such output",
    )


def _holds_two(shape: Sequence[Any]) -> bool:
    """Tell whether a tensor may hold one or two probabilities for each row."""
    return len(shape) <= 1 or (
        len(shape) == 2 and (shape[1] in (1, 2) or not isinstance(shape[1], int))
    )
