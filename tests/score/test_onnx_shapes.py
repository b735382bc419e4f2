"""ONNX graphs of other tools give the maker's probability, or are refused when they are loaded."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pandas as pd
import pyarrow as pa
import pytest
from onnx import TensorProto, helper
from sklearn.compose import ColumnTransformer
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from lib.decode.engines.arrow import decode_batch
from lib.errors import ModelMismatchError
from lib.inference_backend import load_model, predict
from lib.record.contract_file import parse_contract
from lib.score.admission.probe import probe
from tests.support.small_loan import CONTRACT as LOAN
from tests.support.small_loan import NUMBERS
from tests.support.telco import CUSTOMER

COLUMNS = ["MonthlyCharges", "tenure"]
RNG = np.random.default_rng(3)
ROWS = pd.DataFrame({"MonthlyCharges": RNG.uniform(20, 110, 80), "tenure": RNG.integers(0, 72, 80)})
LEAVES = RNG.uniform(0, 1, 80) < 1 / (1 + np.exp(ROWS["tenure"] / 20 - 2))
MODEL = make_pipeline(StandardScaler(), LogisticRegression())
# The maker's probability that this customer leaves is the expected one.
RECORD = {"MonthlyCharges": 70.0, "tenure": 12}


def fit(labels: Sequence[Any]) -> tuple[Any, float]:
    """Fit on labels for leaving and staying; return the model, and the maker's probability."""
    model = MODEL.fit(ROWS, np.where(LEAVES, labels[0], labels[1]))
    position = list(model.classes_).index(labels[0])
    return model, float(model.predict_proba(pd.DataFrame([RECORD]))[0][position])


def export(model: Any, kind: str = "Float", *, wide: bool = False, zipmap: bool = False) -> Any:
    from skl2onnx import to_onnx  # type: ignore[import-untyped]  # skl2onnx has no types
    from skl2onnx.common import data_types  # type: ignore[import-untyped]

    tensor = getattr(data_types, f"{kind}TensorType")
    inputs = (
        [("X", tensor([None, 2]))] if wide else [(name, tensor([None, 1])) for name in ROWS.columns]
    )
    return to_onnx(model, initial_types=inputs, options={"zipmap": zipmap})


def score(content: bytes, path: Path, **options: Any) -> tuple[str, float]:
    (path / "m.onnx").write_bytes(content)
    labels, probabilities = predict(
        load_model("onnx", path / "m.onnx", contract=CUSTOMER, **options), RECORD
    )
    return labels[0], probabilities[0]


@pytest.mark.parametrize("zipmap", [False, True])
@pytest.mark.parametrize(
    ("labels", "told"),
    [((1, 0), None), (("Yes", "No"), None), (("Churned", "Stayed"), "Churned"), ((3, 7), "3")],
)
def test_the_graph_tells_which_probability_is_whose(
    tmp_path: Path, labels: tuple[Any, Any], told: str | None, zipmap: bool
) -> None:
    model, expected = fit(labels)
    content = export(model, zipmap=zipmap).SerializeToString()
    label, probability = score(content, tmp_path, positive_class=told)
    assert probability == pytest.approx(expected, abs=1e-6)
    assert label == ("Yes" if expected >= 0.5 else "No")
    assert 0.55 < expected < 0.95


def test_classes_that_are_not_known_are_refused(tmp_path: Path) -> None:
    model, _ = fit(("Churned", "Stayed"))
    expected = "m/onnx: found the classes 'Churned' and 'Stayed', expected the labels 'No' and"
    with pytest.raises(ModelMismatchError, match=expected):
        score(export(model).SerializeToString(), tmp_path)


@pytest.mark.parametrize("kind", ["Float", "Double"])
def test_one_input_for_all_columns_takes_them_in_the_order_that_is_named(
    tmp_path: Path, kind: str
) -> None:
    model, expected = fit((1, 0))
    content = export(model, kind, wide=True).SerializeToString()
    # In float64 the converter writes a graph that names no classes.
    told = "1" if kind == "Double" else None
    found = score(content, tmp_path, columns=COLUMNS, positive_class=told)[1]
    assert found == pytest.approx(expected, abs=1e-6)
    for columns, message in (
        (None, r"found input X of 2 columns without names, expected one input for each column .*"),
        (["tenure"], r"found input X of 2 columns without names, expected 1 \(name the columns"),
    ):
        with pytest.raises(ModelMismatchError, match=message):
            score(content, tmp_path, columns=columns)


def rename_outputs(model: Any, **names: str) -> bytes:
    for node in model.graph.node:
        node.output[:] = [names.get(it, it) for it in node.output]
    for output in model.graph.output:
        output.name = names.get(output.name, output.name)
    outputs = list(model.graph.output)
    del model.graph.output[:]
    model.graph.output.extend(reversed(outputs))
    content: bytes = model.SerializeToString()
    return content


def test_outputs_may_have_other_names_and_another_order(tmp_path: Path) -> None:
    model, expected = fit((1, 0))
    content = rename_outputs(export(model), probabilities="scores", label="class")
    assert score(content, tmp_path)[1] == pytest.approx(expected, abs=1e-6)


def make_sigmoid(**metadata: Any) -> bytes:
    """Make a graph as a neural network leaves it: one column, without the names of classes."""
    inputs = [helper.make_tensor_value_info(it, TensorProto.FLOAT, ["n", 1]) for it in COLUMNS]
    output = helper.make_tensor_value_info("dense", TensorProto.FLOAT, ["n", 1])
    nodes = [
        helper.make_node("Sub", COLUMNS, ["difference"]),
        helper.make_node("Constant", [], ["scale"], value_float=0.01),
        helper.make_node("Mul", ["difference", "scale"], ["scaled"]),
        helper.make_node("Sigmoid", ["scaled"], ["dense"]),
    ]
    model = helper.make_model(
        helper.make_graph(nodes, "network", inputs, [output]),
        opset_imports=[helper.make_opsetid("", 18)],
        ir_version=onnx.IR_VERSION_2023_5_5,
    )
    helper.set_model_props(model, {key: json.dumps(it) for key, it in metadata.items()})
    content: bytes = model.SerializeToString()
    return content


# 1 / (1 + exp(-(70 - 12) / 100))
SIGMOID = 0.6410674


def test_a_single_column_counts_for_the_class_that_is_named(tmp_path: Path) -> None:
    for told, expected in (("1", SIGMOID), ("0", 1 - SIGMOID)):
        found = score(make_sigmoid(), tmp_path, positive_class=told)[1]
        assert found == pytest.approx(expected, abs=1e-6)
    by_metadata = make_sigmoid(classes=["Yes", "No"])
    assert score(by_metadata, tmp_path)[1] == pytest.approx(1 - SIGMOID, abs=1e-6)
    with pytest.raises(ModelMismatchError, match="m/onnx: found a model that does not name its"):
        score(make_sigmoid(), tmp_path)


def test_three_classes_are_refused(tmp_path: Path) -> None:
    model = MODEL.fit(ROWS, np.arange(80) % 3)
    with pytest.raises(ModelMismatchError, match=r"shape \[None, 3\]\), expected one with"):
        score(export(model).SerializeToString(), tmp_path)
    zipped = export(model, zipmap=True).SerializeToString()
    with pytest.raises(ModelMismatchError, match="found a model of 3 classes"):
        score(zipped, tmp_path)


def make_tree() -> bytes:
    """Make a tree that gives 0.25 up to charges of 50, 0.75 above, and 0.75 if they are missing."""
    node = helper.make_node(
        "TreeEnsembleClassifier",
        ["X"],
        ["label", "probabilities"],
        domain="ai.onnx.ml",
        classlabels_int64s=[0, 1],
        class_ids=[0, 1, 0, 1],
        class_nodeids=[1, 1, 2, 2],
        class_treeids=[0, 0, 0, 0],
        class_weights=[0.75, 0.25, 0.25, 0.75],
        nodes_falsenodeids=[2, 0, 0],
        nodes_featureids=[0, 0, 0],
        nodes_hitrates=[1.0, 1.0, 1.0],
        nodes_missing_value_tracks_true=[0, 0, 0],
        nodes_modes=["BRANCH_LEQ", "LEAF", "LEAF"],
        nodes_nodeids=[0, 1, 2],
        nodes_treeids=[0, 0, 0],
        nodes_truenodeids=[1, 0, 0],
        nodes_values=[50.0, 0.0, 0.0],
        post_transform="NONE",
    )
    graph = helper.make_graph(
        [node],
        "tree",
        [helper.make_tensor_value_info("X", TensorProto.FLOAT, [None, 2])],
        [
            helper.make_tensor_value_info("label", TensorProto.INT64, [None]),
            helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, [None, 2]),
        ],
    )
    domains = [helper.make_opsetid("", 18), helper.make_opsetid("ai.onnx.ml", 3)]
    model = helper.make_model(graph, opset_imports=domains, ir_version=onnx.IR_VERSION_2023_5_5)
    content: bytes = model.SerializeToString()
    return content


def test_missing_numbers_reach_a_graph_that_takes_them(tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(make_tree())
    backend = load_model("onnx", tmp_path / "m.onnx", columns=COLUMNS)
    rows = pd.DataFrame({"MonthlyCharges": [20.0, 80.0, np.nan], "tenure": [1, 2, 3]})
    assert predict(backend, rows) == (["No", "Yes", "Yes"], [0.25, 0.75, 0.75])


NOTES = parse_contract(
    """
name = "notes"
[identifier]
name = "id"
[label]
name = "label"
negative = "no"
positive = "yes"
[[features]]
name = "note"
kind = "text"
[[features]]
name = "amount"
kind = "number"
minimum = 0
maximum = 10
""",
    "notes.toml",
)


def test_a_graph_that_encodes_free_text_scores_as_its_maker_does(tmp_path: Path) -> None:
    from skl2onnx import to_onnx
    from skl2onnx.common.data_types import FloatTensorType, StringTensorType  # type: ignore[import-untyped]

    texts = ["good and cheap", "bad", "bad and dear", "good", "ein Umläut 字", ""] * 4
    rows = pd.DataFrame({"note": texts, "amount": np.arange(24) / 3.0})
    # With lowercase=True the graph needs the locale en_US.UTF-8 on the machine.
    words = TfidfVectorizer(lowercase=False, token_pattern="[a-zA-Z]+")
    encode = ColumnTransformer([("words", words, "note"), ("rest", "passthrough", ["amount"])])
    model = make_pipeline(encode, LogisticRegression()).fit(rows, [0, 1, 1, 0, 0, 1] * 4)
    inputs = [("note", StringTensorType([None, 1])), ("amount", FloatTensorType([None, 1]))]
    graph = to_onnx(model, initial_types=inputs, options={"zipmap": False})
    (tmp_path / "m.onnx").write_bytes(graph.SerializeToString())
    makers = model.predict_proba(rows)[:, 1]

    backend = load_model("onnx", tmp_path / "m.onnx", contract=NOTES)

    assert probe(backend, NOTES).rows == 2
    records: list[dict[str, Any]] = [dict(it) for _, it in rows.iterrows()]
    values = [json.dumps({"id": "a", **it}).encode() for it in records]
    decoded = decode_batch(pa.array(values, pa.binary()), NOTES)
    for found in (
        predict(backend, rows)[1],
        predict(backend, records)[1],
        backend.model.score_columns(decoded.features),
    ):
        np.testing.assert_allclose(found, makers, rtol=0, atol=1e-6)
    assert makers.max() - makers.min() > 0.2


# Networks that Keras 3.15.1 on TensorFlow 2.21.0 has written by `model.export(…, format="onnx")`:
# BatchNormalization, Dense(4, relu), and Dense(1, sigmoid) or Dense(2, softmax), fitted on the
# columns income, years and married. The probabilities are those of its own `model.predict`. One has
# a layer Normalization instead, whose two constants the exporter leaves as inputs.
GRAPHS = Path(__file__).parent / "graphs"
NETWORK_ROWS = [(0, 1, False), (250, 12, True), (500, 20, False), (750, 33, True), (1000, 40, True)]
BY_SIGMOID = [0.780631423, 0.720203757, 0.445638478, 0.0759378001, 0.0179591253]
BY_SOFTMAX = [0.746666133, 0.617751181, 0.613519251, 0.0564736612, 0.00491430983]
# A network takes no missing numbers.
NETWORK_CONTRACT = replace(
    LOAN, features=tuple(replace(field, nullable=False) for field in LOAN.features)
)


@pytest.mark.parametrize(
    ("name", "told", "expected"),
    [
        ("keras_sigmoid", "1", BY_SIGMOID),
        ("keras_softmax", "1", BY_SOFTMAX),
        ("keras_softmax", "0", [1 - it for it in BY_SOFTMAX]),
    ],
)
def test_a_network_of_keras_scores_as_keras_does_once_its_class_is_named(
    name: str, told: str, expected: list[float]
) -> None:
    rows = [dict(zip(NUMBERS, row, strict=True)) for row in NETWORK_ROWS]
    options: dict[str, Any] = {"contract": NETWORK_CONTRACT, "columns": NUMBERS}

    backend = load_model("onnx", GRAPHS / f"{name}.onnx", positive_class=told, **options)

    assert probe(backend, NETWORK_CONTRACT).rows > 1
    np.testing.assert_allclose(predict(backend, rows)[1], expected, rtol=0, atol=1e-6)
    with pytest.raises(ModelMismatchError, match="found a model that does not name its classes"):
        load_model("onnx", GRAPHS / f"{name}.onnx", **options)


def test_a_network_whose_constants_are_inputs_is_refused_at_its_first_look() -> None:
    options: dict[str, Any] = {"contract": NETWORK_CONTRACT, "columns": NUMBERS}
    expected = (
        r"keras_normalization\.onnx: found the inputs features,"
        r" sequential_1/normalization_1/Sub/y:0, sequential_1/normalization_1/Sqrt/x:0, expected"
        r" one for the 3 columns"
    )
    with pytest.raises(ModelMismatchError, match=expected):
        load_model("onnx", GRAPHS / "keras_normalization.onnx", positive_class="1", **options)
