"""A folder of MLflow's tells which of its files the model is, and what saved it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import joblib
import pytest

from lib.errors import ModelError, ModelMismatchError
from lib.inference_backend import load_model, predict
from lib.score.choice import choose_backend
from lib.score.mlflow_folder import MlflowModel, find_mlflow_model
from tests.score.models import build_customers

SKLEARN = """
flavors:
  python_function: {loader_module: mlflow.sklearn, model_path: model.pkl}
  sklearn: {pickled_model: model.pkl, serialization_format: cloudpickle, sklearn_version: VERSION}
"""


def make_folder(path: Path, text: str) -> Path:
    folder = path / "churn"
    folder.mkdir()
    (folder / "MLmodel").write_text(text)
    return folder


@pytest.mark.parametrize(
    ("flavours", "backend", "file"),
    [
        ("{sklearn: {pickled_model: model.pkl}}", "sklearn", "model.pkl"),
        ("{xgboost: {data: model.ubj}}", "sklearn", "model.ubj"),
        ("{lightgbm: {data: model.skops}}", "sklearn", "model.skops"),
        ("{catboost: {data: model.cb}}", "sklearn", "model.cb"),
        ("{onnx: {data: model.onnx}}", "onnx", "model.onnx"),
        ("{spark: {model_data: sparkml}, python_function: {}}", "spark", "sparkml"),
    ],
)
def test_each_flavour_names_a_file_and_a_backend(
    tmp_path: Path, flavours: str, backend: str, file: str
) -> None:
    folder = make_folder(tmp_path, f"flavors: {flavours}")
    assert find_mlflow_model(folder) == MlflowModel(backend, folder / file, None)
    assert choose_backend(folder) == backend


def test_the_signature_names_columns_and_types(tmp_path: Path) -> None:
    inputs = json.dumps(
        [
            {"type": "long", "name": "years", "required": True},
            {"type": "double", "name": "income"},
            {"type": "string", "name": "note", "required": False},
            {"name": "married", "type": "tensor", "tensor-spec": {"dtype": "float32"}},
            {"type": "tensor", "tensor-spec": {"dtype": "float32", "shape": [-1, 3]}},
        ]
    )
    text = f"flavors: {{onnx: {{data: m.onnx}}}}\nsignature: {{inputs: '{inputs}'}}"
    folder = make_folder(tmp_path, text)
    found = find_mlflow_model(folder)
    assert found is not None
    assert found.inputs == (("years", "long"), ("income", "double"), ("married", "float32"))


def test_a_model_in_such_a_folder_is_loaded_and_named_after_it(
    tmp_path: Path, sklearn_pipeline: Any
) -> None:
    folder = make_folder(tmp_path, SKLEARN.replace("VERSION", "1.9.0"))
    joblib.dump(sklearn_pipeline, folder / "model.pkl")
    backend = load_model("sklearn", folder)
    assert backend.scored_by == "churn/sklearn"
    customers = build_customers(3, seed=9)
    makers = sklearn_pipeline.predict_proba(customers)[:, 1].tolist()
    assert predict(backend, customers)[1] == makers


def test_another_minor_version_of_scikit_learn_is_refused(
    tmp_path: Path, sklearn_pipeline: Any
) -> None:
    folder = make_folder(tmp_path, SKLEARN.replace("VERSION", "1.2.3"))
    joblib.dump(sklearn_pipeline, folder / "model.pkl")
    expected = r"^churn: found scikit-learn 1\.9\.\d+ installed, expected 1\.2\.x: the model was"
    with pytest.raises(ModelMismatchError, match=expected):
        load_model("sklearn", folder)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "flavors: {pytorch: {}, python_function: {}}",
            "found a model of MLflow with the flavours pytorch, python_function, expected one of"
            " sklearn, xgboost, lightgbm, catboost, onnx, spark",
        ),
        ("flavors: [", "MLmodel: found no description of a model: ParserError"),
        (
            "flavors: {sklearn: {pickled_model: ../model.pkl}}",
            r"MLmodel: found pickled_model: \.\./model\.pkl, which leads out of the folder",
        ),
        (
            "flavors: {sklearn: {pickled_model: m.pkl}}\nsignature: {inputs: '['}",
            "MLmodel: found no description of a model: JSONDecodeError",
        ),
        ("flavors: {sklearn: {}}", "MLmodel: found no description of a model: KeyError"),
        ("model", "MLmodel: found no description of a model: TypeError"),
        ("", "MLmodel: found no description of a model: TypeError"),
    ],
)
def test_what_cannot_be_scored_is_refused(tmp_path: Path, text: str, expected: str) -> None:
    folder = make_folder(tmp_path, text)
    with pytest.raises(ModelError, match=expected):
        find_mlflow_model(folder)


def test_another_folder_is_none_of_mlflow(tmp_path: Path) -> None:
    assert find_mlflow_model(tmp_path) is None
    assert choose_backend(tmp_path) == "spark"
