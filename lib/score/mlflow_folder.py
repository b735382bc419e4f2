"""Reads the folder that MLflow saves a model in, without MLflow.

The file ``MLmodel`` in it names the model's file and library for each flavour; see
https://mlflow.org/docs/latest/ml/model/.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]  # it ships no types

from lib.errors import ModelError, ModelMismatchError, name_error

_FILE = "MLmodel"
# Flavour → backend, and the key with the path of the model within the folder. The first that the
# folder has is taken: each of them is the model itself, and `python_function` a wrapper of it.
_FLAVOURS = {
    "sklearn": ("sklearn", "pickled_model"),
    "xgboost": ("sklearn", "data"),
    "lightgbm": ("sklearn", "data"),
    "catboost": ("sklearn", "data"),
    "onnx": ("onnx", "data"),
    "spark": ("spark", "model_data"),
}


@dataclass(frozen=True)
class MlflowModel:
    """The model in a folder of MLflow's.

    Attributes:
        backend: the backend that scores it.
        path: the model's own file or folder.
        sklearn_version: the version of scikit-learn that saved it; None for another library.
        inputs: (column, type) of each column that its signature names and requires, in MLflow's
            words for types or NumPy's; empty without a signature, or for a matrix without names.
    """

    backend: str
    path: Path
    sklearn_version: str | None
    inputs: tuple[tuple[str, str], ...] = ()


def find_mlflow_model(folder: Path) -> MlflowModel | None:
    """Find the model in a folder of MLflow's; None if the folder is none.

    Raises:
        ModelError: the file ``MLmodel`` is damaged.
        ModelMismatchError: no flavour of the folder can be scored.
    """
    file = folder / _FILE
    if not file.is_file():
        return None
    try:
        described = yaml.safe_load(file.read_text(encoding="utf-8"))
        flavours: dict[str, Any] = described["flavors"]
        found = next((it for it in _FLAVOURS if it in flavours), None)
        if found is None:
            raise ModelMismatchError(
                f"{folder}: found a model of MLflow with the flavours {', '.join(flavours)},"
                f" expected one of {', '.join(_FLAVOURS)}",
                hint="save the model itself, with mlflow.sklearn or another of these",
            )
        backend, key = _FLAVOURS[found]
        facts = flavours[found]
        version = facts.get("sklearn_version")
        path = folder / facts[key]
        if not path.resolve().is_relative_to(folder.resolve()):
            raise ModelError(
                f"{file}: found {key}: {facts[key]}, which leads out of the folder",
                hint="save the model with MLflow again",
            )
        return MlflowModel(
            backend,
            path,
            None if version is None else str(version),
            tuple(_list_inputs(described.get("signature") or {})),
        )
    except (yaml.YAMLError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise ModelError(
            f"{file}: found no description of a model: {name_error(error)}",
            hint="save the model with MLflow again",
        ) from error


def _list_inputs(signature: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """List the columns of a signature, which MLflow keeps as JSON in the YAML."""
    for column in json.loads(signature.get("inputs") or "[]"):
        if column.get("name") is not None and column.get("required", True):
            # A tensor has a type of NumPy's.
            kind = column.get("tensor-spec", {}).get("dtype") or column["type"]
            yield str(column["name"]), str(kind)
