"""Pairs and boosted trees as ONNX graphs in float64 score as scikit-learn does."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import (
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.tree import DecisionTreeClassifier

from lib.score.backends.onnx.model import OnnxModel
from lib.training.candidates import CANDIDATES
from lib.training.compile.edges import make_edges
from lib.training.compile.export import export_onnx
from lib.training.compile.graph import has_own_graph
from lib.training.data import make_training_data, read_training_data
from lib.training.sklearn_pipeline import build_sklearn_pipeline
from tests.domains.test_loan import DATA as LOANS
from tests.domains.test_loan import LOAN
from tests.support.telco import CUSTOMER

SOURCES = {
    "telco": (CUSTOMER, make_training_data(1_500, seed=3, contract=CUSTOMER)),
    # It has numbers, categories and booleans that may be missing.
    "loan": (LOAN, read_training_data(LOANS, LOAN)),
}
OWN = ("logistic-interactions", "hist-gradient-boosting")


@pytest.mark.parametrize("name", OWN)
@pytest.mark.parametrize("source", SOURCES)
def test_the_graph_agrees_on_data_and_edges(source: str, name: str) -> None:
    contract, data = SOURCES[source]
    pipeline = CANDIDATES[name].build(contract).fit(data.features, data.labels)
    model = OnnxModel(export_onnx(pipeline, contract), name)

    def score(rows: pd.DataFrame) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        return np.asarray(pipeline.predict_proba(rows)[:, 1])

    for rows in (data.features, make_edges(score, contract, seed=2)):
        # The sum of the trees is a float32, all else is float64.
        np.testing.assert_allclose(model.score_frame(rows), score(rows), rtol=0, atol=5e-8)


FORESTS = {
    "a tree": DecisionTreeClassifier(max_depth=7, random_state=0),
    "a random forest": RandomForestClassifier(40, max_depth=8, random_state=0),
    "extremely random trees": ExtraTreesClassifier(40, max_depth=8, random_state=0),
    "gradient boosting": GradientBoostingClassifier(n_estimators=40, random_state=0),
}


@pytest.mark.parametrize("name", FORESTS)
def test_the_graph_of_trees_agrees_on_data_and_edges(name: str) -> None:
    contract, data = SOURCES["telco"]
    steps = build_sklearn_pipeline(contract, [("classify", FORESTS[name])])
    pipeline = steps.fit(data.features, data.labels)
    model = OnnxModel(export_onnx(pipeline, contract), name)

    def score(rows: pd.DataFrame) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        return np.asarray(pipeline.predict_proba(rows)[:, 1])

    for rows in (data.features, make_edges(score, contract, seed=2)):
        np.testing.assert_allclose(model.score_frame(rows), score(rows), rtol=0, atol=1e-6)


def test_a_split_is_exact_to_the_bit() -> None:
    contract, data = SOURCES["telco"]
    # One split, between two neighbouring float64 that are one float32.
    totals = np.where(data.labels == 1, 70.0, np.nextafter(70.0, 71.0))
    features = data.features.assign(MonthlyCharges=totals)
    tree = HistGradientBoostingClassifier(max_iter=1, max_leaf_nodes=2)
    steps = build_sklearn_pipeline(contract, [("classify", tree)])
    pipeline = steps.fit(features, data.labels)
    expected = pipeline.predict_proba(features)[:, 1]
    assert len(set(expected)) == 2

    found = OnnxModel(export_onnx(pipeline, contract), "split").score_frame(features)

    np.testing.assert_allclose(found, expected, rtol=0, atol=5e-8)


def test_boosting_behind_a_scaler_is_exported_too() -> None:
    contract, data = SOURCES["telco"]
    plain = build_sklearn_pipeline(contract)
    boosting = HistGradientBoostingClassifier(max_iter=20)
    pipeline = Pipeline([*plain.steps[:-1], ("classify", boosting)])
    pipeline.fit(data.features, data.labels)

    found = OnnxModel(export_onnx(pipeline, contract), "scaled").score_frame(data.features)

    expected = pipeline.predict_proba(data.features)[:, 1]
    np.testing.assert_allclose(found, expected, rtol=0, atol=5e-8)


def test_the_logistic_regression_is_left_to_skl2onnx() -> None:
    assert not has_own_graph(build_sklearn_pipeline(CUSTOMER))
    assert all(has_own_graph(CANDIDATES[name].build(CUSTOMER)) for name in OWN)


def test_an_unknown_step_is_named() -> None:
    contract, data = SOURCES["telco"]
    odd = [("odd", FunctionTransformer(np.sign)), *CANDIDATES[OWN[1]].build_steps()]
    pipeline = build_sklearn_pipeline(contract, odd).fit(data.features, data.labels)
    with pytest.raises(ValueError, match="found the steps odd, classify behind the encoding"):
        export_onnx(pipeline, contract)
