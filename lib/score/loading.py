"""Loads a model by the name of its backend, and scores records with it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

import pandas as pd

from lib.errors import ModelError
from lib.score.artefact import find_fallback
from lib.score.base import ModelBackend, ModelPath
from lib.score.features import list_records
from lib.score.registry import BACKENDS, DEFAULT, BackendOptions, join_names

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from lib.record.contract import Contract


def load_model(
    backend: str,
    model_path: ModelPath,
    preprocessor_path: ModelPath | None = None,
    fallback_path: ModelPath | None = None,
    spark_session: SparkSession | None = None,
    *,
    contract: Contract | None = None,
    positive_class: str | None = None,
    columns: Sequence[str] | None = None,
) -> ModelBackend:
    """Load a model.

    Args:
        backend: the name of one of :data:`lib.score.registry.BACKENDS`.
        model_path: a joblib, ONNX or SQL file, a PipelineModel's folder, the folder of a stored
            version, or ``NAME@champion`` or ``NAME@VERSION``, looked up in ``models`` or in the
            store's folder before it, as in ``/srv/models/NAME@champion``.
        preprocessor_path: a joblib file with a transformer that comes before a scikit-learn model.
        fallback_path: a scikit-learn model that scores if a model of another kind cannot be used.
            The default is the scikit-learn pipeline of the same stored version, if there is one.
        spark_session: the session for models that Spark's JVM evaluates; by default the active one
            or a new one.
        contract: the contract of a model outside a store, with labels, columns and rules for
            numbers. A stored version carries its own.
        positive_class: the name of the class that the positive label means, for a model outside a
            store whose classes are neither the contract's labels nor 0 and 1.
        columns: the columns of a model outside a store that was fitted without names, in its order.

    Returns:
        A loaded backend.

    Raises:
        ValueError: the backend is unknown, or the model cannot be used and has no fallback.
        FileNotFoundError: there is no such model file.
        ModelError: the model is damaged, was made by other library versions, or does not tell which
            class is the positive one.
    """
    if backend not in BACKENDS:
        raise _invalid_backend(backend)
    if fallback_path is None and backend != DEFAULT:
        fallback_path = find_fallback(model_path)
    options = BackendOptions(
        fallback_path,
        preprocessor_path,
        spark_session,
        contract=contract,
        positive_class=positive_class,
        columns=None if columns is None else tuple(columns),
    )
    loaded = BACKENDS[backend].build(model_path, options)
    loaded.load()
    return loaded


@contextmanager
def naming_model(name: object) -> Iterator[None]:
    """Let an error of loading a model name it, if it is none of the project's own.

    Raises:
        ModelError: a file is missing, or the model cannot be used.
    """
    try:
        yield
    except (FileNotFoundError, ValueError) as error:
        if isinstance(error, ModelError):
            raise
        raise ModelError(f"model {name}: {error}") from error


class Predictor(Protocol):
    """The part of a backend that :func:`predict` needs; any object with this method will do."""

    def predict(self, features: pd.DataFrame) -> tuple[Iterable[Any], Iterable[Any]]:
        """Return the label and the probability of each row."""


def predict(
    model_backend: Predictor,
    features: dict[str, Any] | list[dict[str, Any]] | pd.DataFrame,
    backend: str | None = None,
) -> tuple[list[str], list[float]]:
    """Score one record or many.

    Args:
        model_backend: a backend from :func:`load_model`, or an object with ``predict(DataFrame)``.
        features: a record, a list of records, or a frame of them.
        backend: the name of the backend that has to be loaded or really score; None for any.

    Returns:
        predictions: [n_rows], the contract's positive or negative label;
        probabilities: [n_rows] in [0, 1], the probability of the positive label.

    Raises:
        ValueError: the features have another type or are empty, nothing is loaded, or the backend
            is unknown or another one.
        ModelError: the model gave no probability for some row.
    """
    if backend is not None:
        _check_backend(model_backend, backend)
    if isinstance(features, pd.DataFrame):
        labels, probabilities = model_backend.predict(features)
    else:
        records = list_records(features)
        # Some backends score records faster without a frame.
        by_records = getattr(model_backend, "predict_records", None)
        labels, probabilities = (
            by_records(records) if by_records else model_backend.predict(pd.DataFrame(records))
        )
    return [str(label) for label in labels], [float(it) for it in probabilities]


def get_backend_info(model_backend: ModelBackend) -> dict[str, Any]:
    """Describe a backend.

    Returns:
        The keys backend_type, model_path and model_type (None before loading); for a backend with a
        fallback also using_fallback and fallback_path; and those that each backend adds.
    """
    return model_backend.describe()


def _check_backend(model_backend: Predictor, backend: str) -> None:
    if backend not in BACKENDS:
        raise _invalid_backend(backend)
    scores_by_fallback = backend == DEFAULT and getattr(model_backend, "using_fallback", False)
    found = getattr(model_backend, "backend_type", type(model_backend).__name__)
    if backend != found and not scores_by_fallback:
        raise ValueError(f"found a {found} backend, expected {backend}")


def _invalid_backend(backend: object) -> ValueError:
    return ValueError(f"Invalid backend type: {backend}. Must be {join_names()}")
