"""Writes ONNX graphs of the pipelines that skl2onnx cannot convert, in float64 throughout.

skl2onnx 1.20 takes five minutes for the products of all pairs of 50 columns, and its graph needs a
millisecond for a record; it raises for histogram gradient boosting with onnx 1.22, and rounds the
columns to float32, which moves records to the other side of a tree's split. This needs the
``compiled`` extra.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.pipeline import Pipeline

from lib.record.contract import Contract
from lib.record.types import is_float
from lib.score.backends.onnx.signature import (
    CATEGORIES_KEY,
    CLASSES_KEY,
    COLUMNS_KEY,
    MISSING_KEY,
)
from lib.training.candidates import INTERACT, PAIRS
from lib.training.compile.trees import Ensemble, Nodes, has_trees, read_ensemble
from lib.training.encoding import build_encoding
from lib.training.sklearn_pipeline import CLASSIFY, SCALE

# The newest version that skl2onnx 1.20 and onnxruntime 1.22 both know.
OPSETS = {"": 18, "ai.onnx.ml": 3}
_PROBABILITIES = "probabilities"

Numbers = npt.NDArray[Any]


def has_own_graph(pipeline: Pipeline) -> bool:
    """Tell whether :func:`build_graph` takes the pipeline, not skl2onnx."""
    return has_trees(pipeline[-1]) or INTERACT in pipeline.named_steps


def build_graph(pipeline: Pipeline, contract: Contract) -> bytes:
    """Build the graph of a fitted pipeline of ``lib/training/candidates.py``.

    Raises:
        ValueError: the pipeline has a step or a split that this module does not know.
    """
    steps = [name for name in list(pipeline.named_steps)[2:] if name not in (SCALE, INTERACT)]
    if steps != [CLASSIFY]:
        raise ValueError(f"found the steps {', '.join(steps)} behind the encoding")
    graph = _Graph()
    columns = graph.add_encoding(contract)
    if SCALE in pipeline.named_steps:
        scaler = pipeline.named_steps[SCALE]
        centred = graph.add("Sub", columns, graph.hold(scaler.mean_))
        columns = graph.add("Div", centred, graph.hold(scaler.scale_))
    if INTERACT in pipeline.named_steps:
        graph.add_quadratic_form(columns, pipeline)
    else:
        graph.add_trees(columns, read_ensemble(pipeline[-1]))
    return graph.build(contract)


def serialize(
    model: Any, contract: Contract, *, columns: Mapping[str, str], missing: Mapping[str, str]
) -> bytes:
    """Serialize a graph with the metadata that :class:`OnnxModel` reads.

    Args:
        model: the graph, an ``onnx.ModelProto``.
        contract: the contract of the features.
        columns: input → column, for the inputs that take a column.
        missing: input → column, for the inputs that say whether a column is missing.
    """
    categories = {field.name: field.allowed for field in contract.categorical}
    facts = {
        COLUMNS_KEY: columns,
        CATEGORIES_KEY: categories,
        MISSING_KEY: missing,
        # Training codes the labels as 0 and 1.
        CLASSES_KEY: [contract.negative_label, contract.positive_label],
    }
    for key, value in facts.items():
        entry = model.metadata_props.add()
        entry.key, entry.value = key, json.dumps(value)
    content: bytes = model.SerializeToString()
    return content


class _Graph:
    """A graph that grows; its values are named by number."""

    def __init__(self) -> None:
        self._nodes: list[Any] = []
        self._inputs: list[Any] = []
        self._held: list[Any] = []
        self._columns: dict[str, str] = {}
        self._missing: dict[str, str] = {}
        # The names of the probabilities of both classes, double [n_rows, 1].
        self._positive = self._negative = ""

    def add(self, operator: str, *inputs: str, output: str = "", **attributes: Any) -> str:
        """Add a node, and return the name of its output."""
        from onnx import helper

        name = output or f"v{len(self._nodes)}"
        domain = "ai.onnx.ml" if operator.startswith("Tree") else ""
        node = helper.make_node(operator, list(inputs), [name], domain=domain, **attributes)
        self._nodes.append(node)
        return name

    def hold(self, values: Numbers) -> str:
        """Hold constant numbers, and return their name."""
        from onnx import numpy_helper

        name = f"c{len(self._held)}"
        self._held.append(numpy_helper.from_array(np.asarray(values), name))
        return name

    def add_encoding(self, contract: Contract) -> str:
        """Add the columns of the design matrix, double [n_rows, width]."""
        from onnx import TensorProto

        encoding = build_encoding(contract)
        inputs = {}
        for field in contract.features:
            if field.name in {it.name for it in (*encoding.numbers, *encoding.nullable)}:
                kind = TensorProto.DOUBLE if is_float(field) else TensorProto.INT64
            elif field.allowed:
                kind = TensorProto.INT64
            else:
                continue
            inputs[field.name] = self._add_input(kind)
            self._columns[inputs[field.name]] = field.name
        parts = []
        for group in encoding.indicators:
            values: Any = range(len(group.values)) if group.field.allowed else group.values
            # A column of numbers that may be missing is float64, the positions are int64.
            type_ = np.float64 if is_float(group.field) else np.int64
            known = self.hold(np.array([list(values)], type_))
            parts.append(self._cast(self.add("Equal", inputs[group.field.name], known)))
        parts += [self._cast(inputs[field.name]) for field in encoding.numbers]
        parts += [self._cast(inputs[field.name]) for field in encoding.nullable]
        for field in encoding.nullable:
            name = self._add_input(TensorProto.FLOAT)
            self._missing[name] = field.name
            parts.append(self._cast(name))
        return self.add("Concat", *parts, axis=1)

    def add_quadratic_form(self, columns: str, pipeline: Pipeline) -> None:
        """Add the log odds of a regression on columns and on the products of their pairs.

        With z for the columns they are b + w·z + Σ u[i, j] z[i] z[j], which is much less work than
        a column for each product.
        """
        union, regression = pipeline.named_steps[INTERACT], pipeline[-1]
        pairs = dict(union.transformer_list)[PAIRS]
        products, scaler = pairs[0], pairs[1]
        width = products.n_features_in_
        weight = union.transformer_weights[PAIRS]
        coefficients = regression.coef_[0]
        of_pairs = coefficients[width:] * weight / scaler.scale_
        linear = np.zeros(width) + coefficients[:width]
        square = np.zeros((width, width))
        for coefficient, powers in zip(of_pairs, products.powers_, strict=True):
            first, *second = np.flatnonzero(powers)
            if second:
                square[first, second[0]] = coefficient
            else:
                linear[first] += coefficient
        constant = regression.intercept_[0] - of_pairs @ scaler.mean_
        # Σ u[i, j] z[i] z[j] + w·z = Σ z[i] (Σ u[i, j] z[j] + w[i])
        inner = self.add("MatMul", columns, self.hold(square.T))
        inner = self.add("Add", inner, self.hold(linear))
        weighted = self.add("Mul", columns, inner)
        total = self.add("ReduceSum", weighted, self.hold(np.array([1])), keepdims=1)
        self._take_log_odds(self.add("Add", total, self.hold(np.array([constant]))))

    def add_trees(self, columns: str, ensemble: Ensemble) -> None:
        """Add the sum of trees: log odds, or the probability of the second class."""
        from onnx import TensorProto, numpy_helper

        if ensemble.takes_float32:
            columns = self._cast(self.add("Cast", columns, to=int(TensorProto.FLOAT)))
        feature, split, left, right, missing_left, leaf, value = (
            np.concatenate([getattr(tree, field.name) for tree in ensemble.trees])
            for field in fields(Nodes)
        )
        sizes = [len(tree.is_leaf) for tree in ensemble.trees]
        trees = np.repeat(np.arange(len(sizes)), sizes)
        numbers = np.concatenate([np.arange(size) for size in sizes])

        def double(name: str, values: Numbers) -> Any:
            return numpy_helper.from_array(np.asarray(values, np.float64), name)

        sums = self.add(
            "TreeEnsembleRegressor",
            columns,
            n_targets=1,
            aggregate_function="SUM",
            base_values_as_tensor=double("base", np.array([ensemble.base])),
            nodes_treeids=trees.tolist(),
            nodes_nodeids=numbers.tolist(),
            nodes_modes=np.where(leaf, "LEAF", "BRANCH_LEQ").tolist(),
            nodes_featureids=feature.tolist(),
            nodes_values_as_tensor=double("splits", split),
            nodes_truenodeids=left.tolist(),
            nodes_falsenodeids=right.tolist(),
            nodes_missing_value_tracks_true=missing_left.astype(int).tolist(),
            target_treeids=trees[leaf].tolist(),
            target_nodeids=numbers[leaf].tolist(),
            target_ids=[0] * int(leaf.sum()),
            target_weights_as_tensor=double("leaves", value[leaf]),
        )
        total = self._cast(sums)
        if ensemble.gives_log_odds:
            self._take_log_odds(total)
        else:
            self._positive = total
            self._negative = self.add("Sub", self.hold(np.array([1.0])), total)

    def build(self, contract: Contract) -> bytes:
        """Add the probabilities of both classes, and serialize the graph."""
        from onnx import TensorProto, helper

        self.add("Concat", self._negative, self._positive, axis=1, output=_PROBABILITIES)
        output = helper.make_tensor_value_info(_PROBABILITIES, TensorProto.DOUBLE, [None, 2])
        graph = helper.make_graph(self._nodes, "model", self._inputs, [output], self._held)
        opsets = [helper.make_opsetid(domain, number) for domain, number in OPSETS.items()]
        model = helper.make_model(graph, opset_imports=opsets)
        # The version of the format that these operators came with; onnx would take its newest.
        model.ir_version = helper.find_min_ir_version_for(opsets)
        return serialize(model, contract, columns=self._columns, missing=self._missing)

    def _take_log_odds(self, log_odds: str) -> None:
        self._positive = self.add("Sigmoid", log_odds)
        self._negative = self.add("Sigmoid", self.add("Neg", log_odds))

    def _add_input(self, kind: int) -> str:
        from onnx import helper

        name = f"x{len(self._inputs)}"
        self._inputs.append(helper.make_tensor_value_info(name, kind, [None, 1]))
        return name

    def _cast(self, name: str) -> str:
        return self.add("Cast", name, to=_double())


def _double() -> int:
    from onnx import TensorProto

    return int(TensorProto.DOUBLE)
