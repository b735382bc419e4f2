"""The backend that a job's settings choose, loaded and held against the contract."""

from __future__ import annotations

import logging
from pathlib import Path

from pyspark.sql import DataFrame, SparkSession

from lib.contract import Contract, Kind
from lib.errors import ModelError, ModelMismatchError, ModelNotFoundError
from lib.scoring.base import ModelBackend
from lib.scoring.sklearn import SklearnBackend
from lib.scoring.spark import SparkBackend
from lib.settings import BackendChoice, ModelSettings
from lib.store import ModelReference, ModelStore
from lib.store.compatibility import check_contract
from lib.store.version import find_version

logger = logging.getLogger(__name__)


def load_backend(spark: SparkSession, settings: ModelSettings, contract: Contract) -> ModelBackend:
    """Load the model that the settings name.

    Args:
        spark: the session to score in.
        settings: store, model and backend.
        contract: what the model must have been made for.

    Raises:
        ModelError: there is no such model, it is damaged, or it does not match the contract.
    """
    path = find_model(settings)
    version = find_version(path)
    if version is not None:
        check_contract(version.metadata, contract)
    backend = _build_backend(spark, settings.backend, path)
    try:
        backend.load()
    except (FileNotFoundError, ValueError) as error:
        if isinstance(error, ModelError):
            raise
        raise ModelError(f"model {path}: {error}") from error
    _check_columns(spark, backend, contract)
    logger.info("model loaded scored_by=%s threshold=%g", backend.scored_by, backend.threshold)
    return backend


def find_model(settings: ModelSettings) -> Path:
    """The folder or file that ``--store`` and ``--model`` name.

    Raises:
        ModelNotFoundError: there is none.
    """
    reference = ModelReference.parse(settings.model)
    if reference.path is None:
        return ModelStore(settings.store).resolve(settings.model).path
    if not reference.path.exists():
        raise ModelNotFoundError(f"--model {settings.model}: no such file or folder")
    return reference.path


def _build_backend(spark: SparkSession, choice: BackendChoice, path: Path) -> ModelBackend:
    if choice == "sklearn" or (choice == "auto" and path.is_file()):
        return SklearnBackend(path)
    # Whoever asks for spark by name wants no other; auto takes what there is.
    return SparkBackend(path, path if choice == "auto" else None, spark)


def _check_columns(spark: SparkSession, backend: ModelBackend, contract: Contract) -> None:
    """Let the backend take a frame of the contract's columns, before a stream depends on it."""
    try:
        backend.with_probability(build_empty_frame(spark, contract)).schema  # noqa: B018
    except ModelMismatchError:
        raise
    except Exception as error:  # whatever Spark's analysis and the model's stages object to
        first_line = str(error).strip().splitlines()[0]
        raise ModelMismatchError(
            f"model {backend.scored_by} does not take the columns of contract {contract.name}:"
            f" {first_line}"
        ) from error


def build_empty_frame(spark: SparkSession, contract: Contract) -> DataFrame:
    """No rows, with the features as ``lib.decode_spark`` gives them."""
    kinds = {Kind.INTEGER: "bigint", Kind.NUMBER: "double"}
    columns = [f"`{field.name}` {kinds.get(field.kind, 'string')}" for field in contract.features]
    return spark.createDataFrame([], ", ".join(columns))
