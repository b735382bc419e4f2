"""The backend that a job's settings choose, loaded and held against the contract."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

from pyspark.sql import DataFrame, SparkSession

from lib.contract import Contract, Kind
from lib.errors import ModelError, ModelMismatchError, ModelNotFoundError, name_error
from lib.scoring.artefact import BACKEND_OF_SUFFIX
from lib.scoring.base import ModelBackend, refuse_missing_columns
from lib.scoring.onnx import OnnxBackend
from lib.scoring.onnx_model import is_onnxruntime_installed
from lib.scoring.sklearn import SklearnBackend
from lib.scoring.spark import SparkBackend
from lib.scoring.sql import SqlBackend
from lib.settings.base import ModelSettings
from lib.store import ModelReference, ModelStore
from lib.store.compatibility import check_contract
from lib.store.version import ONNX_ARTEFACT, SPARK_ARTEFACT, SQL_ARTEFACT, find_version

logger = logging.getLogger(__name__)

#: What ``--backend auto`` tries, in the order of measured rates, and the artefact that it needs.
FASTEST_FIRST = {"onnx": ONNX_ARTEFACT, "sql": SQL_ARTEFACT, "spark": SPARK_ARTEFACT}


def load_backend(
    spark: SparkSession, settings: ModelSettings, contract: Contract, *, native_only: bool = False
) -> ModelBackend:
    """Load the model that the settings name.

    On a cluster ``auto`` is always ``native_only``: there it would show too late that executors
    lack onnxruntime.

    Args:
        spark: the session to score in.
        settings: store, model and backend.
        contract: what the model must have been made for.
        native_only: whether ``auto``, where it can choose, takes none that needs Python workers.

    Raises:
        ModelError: there is no such model, it is damaged, or it does not match the contract.
    """
    path = find_model(settings)
    version = find_version(path)
    if version is not None:
        check_contract(version.metadata, contract)
    is_local = (spark.sparkContext.master or "").startswith("local")
    backend = _build_backend(spark, settings, path, native_only=native_only or not is_local)
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


def _build_backend(
    spark: SparkSession, settings: ModelSettings, path: Path, *, native_only: bool
) -> ModelBackend:
    name: str = settings.backend
    # Whoever asks for a backend by name wants no other; auto takes what there is.
    fallback = None
    if name == "auto":
        name, fallback = choose_backend(path, native_only=native_only), path
    builders: dict[str, Callable[[], ModelBackend]] = {
        "sql": lambda: SqlBackend(path, fallback, spark),
        "onnx": lambda: OnnxBackend(path, fallback, provider=settings.onnx_provider),
        "spark": lambda: SparkBackend(path, fallback, spark),
        "sklearn": lambda: SklearnBackend(path),
    }
    return builders[name]()


def choose_backend(path: Path, *, native_only: bool = False) -> str:
    """The fastest backend that a model was saved for; see :data:`FASTEST_FIRST`.

    A version says it in its metadata; another file, by its suffix; another folder is a
    PipelineModel.
    """
    version = find_version(path)
    if version is not None and version.path == path:
        usable = dict(FASTEST_FIRST)
        if native_only or not is_onnxruntime_installed():
            del usable["onnx"]
        return next((name for name, file in usable.items() if version.has(file)), "sklearn")
    if path.is_dir():
        return "spark"
    return BACKEND_OF_SUFFIX.get(path.suffix, "sklearn")


def _check_columns(spark: SparkSession, backend: ModelBackend, contract: Contract) -> None:
    """Let the backend take the contract's columns, before a stream depends on it."""
    columns = backend.list_columns()
    if columns is not None:
        refuse_missing_columns(contract.feature_names, columns, backend.scored_by)
        return
    try:
        backend.with_probability(build_empty_frame(spark, contract)).schema  # noqa: B018
    except ModelMismatchError:
        raise
    except Exception as error:  # whatever Spark's analysis and the model's stages object to
        raise ModelMismatchError(
            f"model {backend.scored_by} does not take the columns of contract {contract.name}:"
            f" {name_error(error)}"
        ) from error


def build_empty_frame(spark: SparkSession, contract: Contract) -> DataFrame:
    """No rows, with the features as ``lib.codec.decode_spark`` gives them."""
    kinds = {Kind.INTEGER: "bigint", Kind.NUMBER: "double"}
    columns = [f"`{field.name}` {kinds.get(field.kind, 'string')}" for field in contract.features]
    return spark.createDataFrame([], ", ".join(columns))
