"""Models of many libraries give their maker's probability, or are refused before the first record.

``make zoo`` runs it in an environment that has the libraries, which the project does not need.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import make_column_transformer
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    IsolationForest,
    RandomForestClassifier,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import GridSearchCV, TunedThresholdClassifierCV
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, OrdinalEncoder, StandardScaler
from sklearn.svm import SVC, LinearSVC

from lib.errors import ModelError
from lib.inference_backend import load_model, predict
from lib.score.admission.probe import probe
from lib.score.choice import choose_backend
from tests.support.small_loan import CONTRACT, NUMBERS

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

RNG = np.random.default_rng(7)
SIZE = 240
ROWS = pd.DataFrame(
    {
        "purpose": RNG.choice(["car", "house", "other"], SIZE),
        "income": np.where(RNG.uniform(size=SIZE) < 0.1, np.nan, RNG.uniform(0, 1000, SIZE)),
        "years": RNG.integers(1, 41, SIZE),
        "married": RNG.integers(0, 2, SIZE),
    }
)
LOST = ROWS["income"].fillna(300) / 1000 + RNG.uniform(0, 1, SIZE) < 0.9
TEXTS = np.where(LOST, "lost", "paid")
CODES = LOST.to_numpy().astype(int)
PLAIN = ROWS.fillna(0.0)
CATEGORIES = ROWS.astype({"purpose": "category"})


def fill(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.astype(float).fillna(0.0)


def encode(encoder: Any = None) -> Any:
    """Build a transformer that encodes texts and fills missing numbers."""
    numbers = make_pipeline(FunctionTransformer(fill), StandardScaler())
    return make_column_transformer((encoder or OneHotEncoder(), ["purpose"]), (numbers, NUMBERS))


def fit(model: Any, rows: Any = ROWS, labels: Any = TEXTS) -> Any:
    with warnings.catch_warnings(action="ignore"):
        return model.fit(rows, labels)


def pipe(classifier: Any, labels: Any = TEXTS, encoder: Any = None) -> Any:
    return fit(make_pipeline(encode(encoder), classifier), labels=labels)


def boost(library: str, **options: Any) -> Any:
    import catboost  # type: ignore[import-not-found]  # only `make zoo` has these libraries
    import lightgbm  # type: ignore[import-not-found]
    import xgboost  # type: ignore[import-not-found]

    return {
        "lightgbm": partial(lightgbm.LGBMClassifier, n_estimators=10, verbose=-1),
        "xgboost": partial(xgboost.XGBClassifier, n_estimators=10),
        "catboost": partial(
            catboost.CatBoostClassifier, iterations=10, verbose=0, allow_writing_files=False
        ),
    }[library](**options)


def make_own_threshold() -> Any:
    search = TunedThresholdClassifierCV(
        make_pipeline(encode(), LogisticRegression()), response_method="predict_proba"
    )
    return fit(search, labels=CODES)


# Name → (what makes a fitted model, the frame that its maker scores, the options of loading).
Case = tuple[Callable[[], Any], pd.DataFrame, dict[str, Any]]
MODELS: dict[str, Case] = {
    "logistic regression": (lambda: pipe(LogisticRegression()), ROWS, {}),
    "logistic regression on codes": (lambda: pipe(LogisticRegression(), CODES), ROWS, {}),
    "logistic regression on booleans": (lambda: pipe(LogisticRegression(), LOST), ROWS, {}),
    "logistic regression on other texts": (
        lambda: pipe(LogisticRegression(), np.where(LOST, "bad", "good")),
        ROWS,
        {"positive_class": "bad"},
    ),
    "logistic regression on -1 and 1": (
        lambda: pipe(LogisticRegression(), np.where(LOST, -1, 1)),
        ROWS,
        {"positive_class": "-1"},
    ),
    "set_output": (
        lambda: fit(
            make_pipeline(
                encode(OneHotEncoder(sparse_output=False)), LogisticRegression()
            ).set_output(transform="pandas")
        ),
        ROWS,
        {},
    ),
    "random forest": (lambda: pipe(RandomForestClassifier(20, random_state=0)), ROWS, {}),
    "histogram boosting on categories": (
        lambda: fit(HistGradientBoostingClassifier(max_iter=10), CATEGORIES),
        CATEGORIES,
        {},
    ),
    "histogram boosting in a pipeline": (
        lambda: pipe(HistGradientBoostingClassifier(max_iter=10), encoder=OrdinalEncoder()),
        ROWS,
        {},
    ),
    "calibrated forest": (
        lambda: fit(
            CalibratedClassifierCV(
                make_pipeline(encode(), RandomForestClassifier(10, random_state=0))
            )
        ),
        ROWS,
        {},
    ),
    "calibrated support vectors": (
        lambda: fit(CalibratedClassifierCV(make_pipeline(encode(), LinearSVC()))),
        ROWS,
        {},
    ),
    "stacking": (
        lambda: pipe(
            StackingClassifier([("a", GaussianNB()), ("b", KNeighborsClassifier())], cv=3)
        ),
        ROWS,
        {},
    ),
    "soft voting": (
        lambda: pipe(
            VotingClassifier([("a", GaussianNB()), ("b", LogisticRegression())], voting="soft")
        ),
        ROWS,
        {},
    ),
    "grid search": (
        lambda: fit(
            GridSearchCV(
                make_pipeline(encode(), LogisticRegression()),
                {"logisticregression__C": [0.1, 1.0]},
            )
        ),
        ROWS,
        {},
    ),
    "tuned threshold": (make_own_threshold, ROWS, {}),
    "neural network": (
        lambda: pipe(MLPClassifier((8,), max_iter=300, random_state=0)),
        ROWS,
        {},
    ),
    "a matrix without names": (
        lambda: fit(
            HistGradientBoostingClassifier(max_iter=10), ROWS[["years", "income"]].to_numpy()
        ),
        ROWS[["years", "income"]],
        {"columns": ["years", "income"]},
    ),
    "XGBoost on categories": (
        lambda: fit(boost("xgboost", enable_categorical=True), CATEGORIES, CODES),
        CATEGORIES,
        {},
    ),
    "XGBoost on numbers": (lambda: fit(boost("xgboost"), ROWS[NUMBERS], CODES), ROWS[NUMBERS], {}),
    "XGBoost in a pipeline": (lambda: pipe(boost("xgboost"), CODES), ROWS, {}),
    "XGBoost on a matrix": (
        lambda: fit(boost("xgboost"), ROWS[["years", "income"]].to_numpy(), CODES),
        ROWS[["years", "income"]],
        {"columns": ["years", "income"]},
    ),
    "LightGBM on categories": (
        lambda: fit(boost("lightgbm"), CATEGORIES),
        CATEGORIES,
        {},
    ),
    "LightGBM on numbers in another order": (
        lambda: fit(boost("lightgbm"), ROWS[NUMBERS[::-1]]),
        ROWS[NUMBERS[::-1]],
        {},
    ),
    "LightGBM on a matrix": (
        lambda: fit(boost("lightgbm"), ROWS[["years", "income"]].to_numpy()),
        ROWS[["years", "income"]],
        {"columns": ["years", "income"]},
    ),
    "CatBoost on texts": (
        lambda: fit(boost("catboost", cat_features=["purpose"]), ROWS),
        ROWS,
        {},
    ),
    "CatBoost on numbers in another order": (
        lambda: fit(boost("catboost"), ROWS[NUMBERS[::-1]]),
        ROWS[NUMBERS[::-1]],
        {},
    ),
}


@pytest.mark.parametrize("name", MODELS)
def test_a_model_scores_as_its_maker_does(tmp_path: Path, name: str) -> None:
    make, rows, options = MODELS[name]
    model = make()
    joblib.dump(model, tmp_path / "m.joblib")
    classes = [str(it) for it in model.classes_]
    told = options.get("positive_class")
    positive = next(it for it in (told, "lost", "1", "True") if it in classes)
    inputs = rows.to_numpy() if options.get("columns") else rows
    with warnings.catch_warnings(action="ignore"):
        makers = model.predict_proba(inputs)[:, classes.index(positive)]

    backend = load_model("sklearn", tmp_path / "m.joblib", contract=CONTRACT, **options)
    # The stream's features are in the contract's order, and texts are objects.
    labels, found = predict(backend, ROWS)

    assert probe(backend, CONTRACT).rows == 7
    np.testing.assert_allclose(found, makers, rtol=0, atol=1e-6)
    # The models have learned something, so that the other class would show.
    assert np.mean(np.asarray(found)[LOST]) > np.mean(np.asarray(found)[~LOST]) + 0.05
    own = float(getattr(model, "best_threshold_", 0.5))
    assert labels == ["lost" if it >= own else "paid" for it in np.round(found, 6)]


REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "a regression": (
        lambda: pipe(LinearRegression(), CODES),
        "found a Pipeline, expected an object with predict_proba",
    ),
    "support vectors without probabilities": (
        lambda: pipe(SVC()),
        "found a Pipeline, expected an object with predict_proba",
    ),
    "an outlier detector": (
        lambda: pipe(IsolationForest(n_estimators=5)),
        "found a Pipeline, expected an object with predict_proba",
    ),
    "three classes": (
        lambda: pipe(LogisticRegression(), np.arange(SIZE) % 3),
        r"m/sklearn: found a model of 3 classes \('0' and '1' and '2'\), expected two",
    ),
    "one class": (
        lambda: pipe(RandomForestClassifier(3), np.full(SIZE, "lost")),
        r"m/sklearn: found a model of 1 classes \('lost'\), expected two",
    ),
    "other texts": (
        lambda: pipe(LogisticRegression(), np.where(LOST, "bad", "good")),
        r"found the classes 'bad' and 'good', expected the labels 'paid' and 'lost' or 0 and 1"
        r" \(name the class that means 'lost': --positive-class ",
    ),
    "a missing number that it does not take": (
        lambda: fit(GaussianNB(), PLAIN[NUMBERS]),
        r"found no probability for the stand-ins with income = None, which contract loan allows:"
        r" ValueError: Input X contains NaN",
    ),
    "a text that it has not seen": (
        lambda: fit(
            make_pipeline(encode(), LogisticRegression()),
            ROWS[ROWS["purpose"] != "house"],
            TEXTS[ROWS["purpose"] != "house"],
        ),
        r"found no probability for the stand-ins with purpose = 'house', which contract loan",
    ),
    "LightGBM on a matrix, without --columns": (
        lambda: fit(boost("lightgbm"), ROWS[NUMBERS].to_numpy()),
        "found a model that takes its columns by their order and knows no names",
    ),
    "CatBoost on a matrix, without --columns": (
        lambda: fit(boost("catboost"), ROWS[NUMBERS].to_numpy()),
        "found a model that takes its columns by their order and knows no names",
    ),
    "LightGBM on a column that the contract does not have": (
        lambda: fit(boost("lightgbm"), ROWS[NUMBERS].assign(age=1.0)),
        r"found records without the columns \['age'\]",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_model_that_cannot_be_scored_rightly_is_refused(tmp_path: Path, name: str) -> None:
    make, expected = REFUSED[name]
    joblib.dump(make(), tmp_path / "m.joblib")
    with pytest.raises(ModelError, match=expected):
        probe(load_model("sklearn", tmp_path / "m.joblib", contract=CONTRACT), CONTRACT)


# ------------------------------------------------------------------------------------------ ONNX


def export(model: Any, library: str) -> bytes:
    """Export a model of numbers with one input for all, as the converters' documents show it."""
    import onnxmltools  # type: ignore[import-not-found]
    from onnxmltools.convert.common.data_types import (  # type: ignore[import-not-found]
        FloatTensorType,
    )

    convert = getattr(onnxmltools, f"convert_{library}")
    inputs = [("input", FloatTensorType([None, len(NUMBERS)]))]
    content: bytes = convert(model, initial_types=inputs, target_opset=15).SerializeToString()
    return content


@pytest.mark.parametrize("library", ["lightgbm", "xgboost"])
def test_a_boosted_model_as_onnx_scores_as_its_maker_does(tmp_path: Path, library: str) -> None:
    model = fit(boost(library), ROWS[NUMBERS].to_numpy(np.float32), CODES)
    (tmp_path / "m.onnx").write_bytes(export(model, library))
    makers = model.predict_proba(ROWS[NUMBERS].to_numpy(np.float32))[:, 1]

    backend = load_model("onnx", tmp_path / "m.onnx", contract=CONTRACT, columns=NUMBERS)

    assert probe(backend, CONTRACT).rows == 7
    np.testing.assert_allclose(predict(backend, ROWS)[1], makers, rtol=0, atol=1e-6)


# ----------------------------------------------------------------------------------------- Spark


def make_spark_pipeline(classifier: Any) -> Any:
    from pyspark.ml import Pipeline
    from pyspark.ml.feature import Imputer, StringIndexer, VectorAssembler

    return Pipeline(
        stages=[
            StringIndexer(inputCol="state", outputCol="label"),
            StringIndexer(inputCol="purpose", outputCol="purpose_index", handleInvalid="keep"),
            Imputer(inputCols=["income"], outputCols=["income_filled"]),
            VectorAssembler(
                inputCols=["purpose_index", "income_filled", "years", "married"],
                outputCol="features",
            ),
            classifier,
        ]
    )


@pytest.mark.parametrize("name", ["LogisticRegression", "GBTClassifier", "RandomForestClassifier"])
def test_a_classifier_of_spark_scores_as_its_maker_does(
    spark: SparkSession, tmp_path: Path, name: str
) -> None:
    from pyspark.ml import classification

    frame = spark.createDataFrame(ROWS.assign(state=TEXTS))
    model = make_spark_pipeline(getattr(classification, name)()).fit(frame)
    model.save((tmp_path / "m").as_uri())
    labels = list(model.stages[0].labels)
    makers = [
        float(row.probability[labels.index("lost")]) for row in model.transform(frame).collect()
    ]

    backend = load_model("spark", tmp_path / "m", spark_session=spark, contract=CONTRACT)

    assert probe(backend, CONTRACT).rows == 7
    np.testing.assert_allclose(predict(backend, ROWS)[1], makers, rtol=0, atol=1e-6)


def test_a_classifier_of_spark_without_probabilities_is_refused(
    spark: SparkSession, tmp_path: Path
) -> None:
    from pyspark.ml.classification import LinearSVC as SparkLinearSVC

    frame = spark.createDataFrame(ROWS.assign(state=TEXTS))
    make_spark_pipeline(SparkLinearSVC()).fit(frame).save((tmp_path / "m").as_uri())
    with pytest.raises(ModelError, match="found a model that does not name its classes"):
        load_model("spark", tmp_path / "m", spark_session=spark, contract=CONTRACT)


# ---------------------------------------------------------------------------------------- MLflow


def save_with_mlflow(flavour: str, model: Any, folder: Path, **options: Any) -> None:
    import importlib

    library = importlib.import_module(f"mlflow.{flavour}")
    with warnings.catch_warnings(action="ignore"):
        library.save_model(model, str(folder), **options)


def make_for_skops() -> Any:
    columns = make_column_transformer((OneHotEncoder(), ["purpose"]), (StandardScaler(), NUMBERS))
    return fit(make_pipeline(columns, LogisticRegression()), PLAIN)


MLFLOW: dict[str, tuple[str, Callable[[], Any], dict[str, Any]]] = {
    "scikit-learn, pickle": (
        "sklearn",
        lambda: pipe(LogisticRegression()),
        {"serialization_format": "pickle"},
    ),
    "scikit-learn, cloudpickle": (
        "sklearn",
        lambda: fit(
            make_pipeline(
                FunctionTransformer(lambda rows: rows[["years", "married"]]), LogisticRegression()
            )
        ),
        {"serialization_format": "cloudpickle"},
    ),
    "scikit-learn, skops": ("sklearn", make_for_skops, {"serialization_format": "skops"}),
    "XGBoost": ("xgboost", lambda: fit(boost("xgboost"), ROWS[NUMBERS], CODES), {}),
    "LightGBM": ("lightgbm", lambda: fit(boost("lightgbm"), ROWS[NUMBERS]), {}),
    "CatBoost": ("catboost", lambda: fit(boost("catboost"), ROWS[NUMBERS]), {}),
}


@pytest.mark.parametrize("name", MLFLOW)
def test_a_folder_of_mlflow_scores_as_its_maker_does(tmp_path: Path, name: str) -> None:
    flavour, make, options = MLFLOW[name]
    model = make()
    save_with_mlflow(flavour, model, tmp_path / "loan", **options)
    # Three of the models take no missing numbers.
    inputs = PLAIN if flavour == "sklearn" else ROWS
    rows = inputs if flavour == "sklearn" else inputs[NUMBERS]
    positive = "1" if flavour == "xgboost" else "lost"
    position = [str(it) for it in model.classes_].index(positive)
    makers = model.predict_proba(rows)[:, position]

    backend = load_model(choose_backend(tmp_path / "loan"), tmp_path / "loan", contract=CONTRACT)

    assert backend.scored_by == "loan/sklearn"
    np.testing.assert_allclose(predict(backend, inputs)[1], makers, rtol=0, atol=1e-6)


def test_a_graph_in_a_folder_of_mlflow_is_scored(tmp_path: Path) -> None:
    import onnx

    model = fit(boost("lightgbm"), ROWS[NUMBERS].to_numpy(np.float32), CODES)
    graph = onnx.load_from_string(export(model, "lightgbm"))
    save_with_mlflow("onnx", graph, tmp_path / "loan")
    assert choose_backend(tmp_path / "loan") == "onnx"
    backend = load_model("onnx", tmp_path / "loan", contract=CONTRACT, columns=NUMBERS)
    assert backend.scored_by == "loan/onnx"
    makers = model.predict_proba(ROWS[NUMBERS].to_numpy(np.float32))[:, 1]
    np.testing.assert_allclose(predict(backend, ROWS)[1], makers, rtol=0, atol=1e-6)


def test_a_skops_file_with_code_of_its_maker_is_refused(tmp_path: Path) -> None:
    import skops.io  # type: ignore[import-not-found]

    skops.io.dump(pipe(LogisticRegression()), tmp_path / "m.skops")
    expected = r"m\.skops: found the types tests\.zoo\.test_zoo\.fill, expected only those"
    with pytest.raises(ModelError, match=expected):
        load_model("sklearn", tmp_path / "m.skops", contract=CONTRACT)


# ----------------------------------------------------------------------------------------- trees


@pytest.mark.parametrize("library", ["lightgbm", "xgboost"])
def test_the_trees_of_a_library_give_its_probability(library: str) -> None:
    from lib.training.compile.trees import has_trees, read_ensemble
    from tests.support.trees import evaluate

    for rows in (PLAIN[NUMBERS], ROWS[NUMBERS]):
        model = fit(boost(library, max_depth=4), rows, CODES)
        edges = np.vstack([rows, np.nextafter(rows, 1e9), np.nextafter(rows, -1e9)])
        with warnings.catch_warnings(action="ignore"):
            makers = model.predict_proba(edges)[:, 1]
        assert has_trees(model)
        found = evaluate(read_ensemble(model), edges)
        np.testing.assert_allclose(found, makers, rtol=0, atol=1e-6)
    by_category = fit(
        boost(library, **({"enable_categorical": True} if library == "xgboost" else {})),
        CATEGORIES,
        CODES,
    )
    with pytest.raises(ValueError, match=r"found (splits by category|a split by ==)"):
        read_ensemble(by_category)


@pytest.mark.parametrize("library", ["lightgbm", "xgboost"])
def test_a_boosted_model_behind_the_encoding_is_compiled_to_onnx(library: str) -> None:
    from lib.score.backends.onnx.model import OnnxModel
    from lib.training.compile.edges import make_edges
    from lib.training.compile.export import export_onnx
    from lib.training.sklearn_pipeline import build_sklearn_pipeline

    steps = build_sklearn_pipeline(CONTRACT, [("classify", boost(library, max_depth=4))])
    pipeline = fit(steps, labels=CODES)
    model = OnnxModel(export_onnx(pipeline, CONTRACT), "boosted")

    def score(rows: pd.DataFrame) -> Any:
        with warnings.catch_warnings(action="ignore"):
            return pipeline.predict_proba(rows)[:, 1]

    for rows in (ROWS, make_edges(score, CONTRACT, 1)):
        np.testing.assert_allclose(model.score_frame(rows), score(rows), rtol=0, atol=1e-6)
