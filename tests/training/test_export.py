"""The pipeline is exported as ONNX and as SQL; a form that does not agree is left out."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import pandas as pd
import pytest
from sklearn.pipeline import Pipeline
from sklearn.tree import DecisionTreeClassifier

from lib.score.backends.onnx.model import OnnxModel
from lib.score.backends.onnx.signature import CATEGORIES_KEY
from lib.training.compile.edges import UNSEEN_CATEGORY, find_jumps, make_edges
from lib.training.compile.export import export_onnx, export_sql
from lib.training.data import make_training_data
from lib.training.sklearn_pipeline import build_sklearn_pipeline
from tests.support.telco import CUSTOMER

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from lib.training.compile.compiled import Compiled

DATA = make_training_data(1_500, seed=3, contract=CUSTOMER)
MONTHLY = CUSTOMER.field("MonthlyCharges")


@pytest.fixture(scope="module")
def pipeline() -> Pipeline:
    return build_sklearn_pipeline(CUSTOMER).fit(DATA.features, DATA.labels)


def with_tree(pipeline: Pipeline) -> Pipeline:
    """Return a pipeline with the same encoding and a tree, which jumps at exact values."""
    tree = Pipeline([*pipeline.steps[:-1], ("classify", DecisionTreeClassifier(max_depth=6))])
    return tree.fit(DATA.features, DATA.labels)


def compile_for(pipeline: Pipeline, spark: SparkSession) -> Compiled:
    from lib.training.compile.compiled import compile_pipeline

    return compile_pipeline(pipeline, DATA.features, contract=CUSTOMER, spark=spark, seed=5)


def probabilities(pipeline: Pipeline, rows: pd.DataFrame) -> Any:
    return pipeline.predict_proba(rows)[:, 1]


def test_onnx_agrees_on_customers_and_on_edges(pipeline: Pipeline, edges: pd.DataFrame) -> None:
    model = OnnxModel(export_onnx(pipeline, CUSTOMER), "churn")
    for rows in (
        make_training_data(20_000, seed=9, contract=CUSTOMER).features,
        edges,
    ):
        difference = np.abs(model.score_frame(rows) - probabilities(pipeline, rows))
        assert difference.max() < 1e-6


def test_no_text_enters_the_graph(pipeline: Pipeline) -> None:
    graph = onnx.load_from_string(export_onnx(pipeline, CUSTOMER))
    types = {node.name: node.type.tensor_type.elem_type for node in graph.graph.input}
    facts = {entry.key: json.loads(entry.value) for entry in graph.metadata_props}
    assert facts["columns"] == {
        f"x{position}": name for position, name in enumerate(CUSTOMER.feature_names)
    }
    assert set(types) == facts["columns"].keys()
    assert onnx.TensorProto.STRING not in types.values()
    assert facts[CATEGORIES_KEY].keys() == {field.name for field in CUSTOMER.categorical}


def test_sql_is_one_expression_over_the_contracts_columns(pipeline: Pipeline) -> None:
    import sqlglot
    from sqlglot import exp

    tree = sqlglot.parse_one(export_sql(pipeline, CUSTOMER), dialect="databricks")
    assert {column.name for column in tree.find_all(exp.Column)} == set(CUSTOMER.feature_names)
    assert not list(tree.find_all(exp.Select))


@pytest.fixture(scope="module")
def edges(pipeline: Pipeline) -> pd.DataFrame:
    return make_edges(lambda rows: probabilities(pipeline, rows), CUSTOMER, seed=2)


@pytest.mark.parametrize("name", [field.name for field in CUSTOMER.features])
def test_edges_hold_the_ends_of_every_field(edges: pd.DataFrame, name: str) -> None:
    values, field = set(edges[name]), CUSTOMER.field(name)
    assert values >= (
        {*field.allowed, UNSEEN_CATEGORY, "", " "} if field.allowed else set(field.range)
    )
    assert edges.dtypes.equals(DATA.features.dtypes)


def test_jumps_are_found_to_the_bit() -> None:
    thresholds = np.array([20.15, 70.000000000000014, 99.9])

    def score(rows: pd.DataFrame) -> Any:
        return np.searchsorted(thresholds, rows["MonthlyCharges"].to_numpy()) / 10

    found = find_jumps(score, DATA.features.iloc[:2], MONTHLY)

    assert found.tolist() == sorted([*thresholds, *np.nextafter(thresholds, np.inf)])


def test_a_model_without_jumps_has_none(pipeline: Pipeline) -> None:
    found = find_jumps(lambda rows: probabilities(pipeline, rows), DATA.features.iloc[:2], MONTHLY)
    assert found.size == 0


def test_both_forms_are_kept_where_they_agree(pipeline: Pipeline, spark: SparkSession) -> None:
    compiled = compile_for(pipeline, spark)
    assert set(compiled.artefacts) == {"pipeline.onnx", "probability.sql"}
    for facts in compiled.facts.values():
        assert 0 < facts["largest_difference"] < 1e-6
        assert facts["rows"] > 101_500


def test_a_tree_whose_thresholds_float32_would_move_is_exported_exactly(
    pipeline: Pipeline, spark: SparkSession
) -> None:
    compiled = compile_for(with_tree(pipeline), spark)
    assert "pipeline.onnx" in compiled.artefacts
    assert compiled.facts["onnx"]["largest_difference"] < 1e-6


def test_a_form_that_differs_is_left_out_and_says_so(
    pipeline: Pipeline, spark: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lib.training.compile import compiled

    monkeypatch.setattr(compiled, "MAX_DIFFERENCE", 0.0)
    found = compile_for(pipeline, spark)
    assert found.artefacts == {}
    for facts in found.facts.values():
        assert "from scikit-learn on the training data, expected at most 0:" in facts["left_out"]


def test_a_long_expression_is_left_out(
    pipeline: Pipeline, spark: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lib.training.compile import compiled

    monkeypatch.setattr(compiled, "MAX_SQL_CHARS", 100)
    facts = compile_for(pipeline, spark).facts
    assert facts["sql"]["left_out"].endswith("characters, more than 100")
    assert "left_out" not in facts["onnx"]


def test_what_cannot_be_exported_is_left_out(spark: SparkSession) -> None:
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import FunctionTransformer

    plain = build_sklearn_pipeline(CUSTOMER)
    odd = Pipeline(
        [
            *plain.steps[:-1],
            ("odd", FunctionTransformer(np.sign)),
            ("classify", LogisticRegression()),
        ]
    ).fit(DATA.features, DATA.labels)

    compiled = compile_for(odd, spark)

    assert compiled.artefacts == {}
    for facts in compiled.facts.values():
        assert facts["left_out"].startswith("it cannot be exported: ")


def test_without_the_extra_the_version_goes_without(
    pipeline: Pipeline, spark: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    for name in ("skl2onnx", "orbital"):
        monkeypatch.setitem(sys.modules, name, None)
    compiled = compile_for(pipeline, spark)
    assert compiled.artefacts == {}
    assert (
        "is not installed (pip install the `compiled` extra)" in compiled.facts["sql"]["left_out"]
    )
