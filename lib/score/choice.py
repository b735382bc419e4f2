"""Loads the model that a job's settings name, and lets it score records of the contract."""

from __future__ import annotations

import logging
from pathlib import Path

from pyspark.sql import SparkSession

from lib.errors import ContractError, ModelNotFoundError, SettingsError
from lib.record.contract import Contract
from lib.record.contract_file import read_contract
from lib.score.admission.probe import probe
from lib.score.base import ModelBackend
from lib.score.loading import naming_model
from lib.score.mlflow_folder import find_mlflow_model
from lib.score.registry import (
    BACKENDS,
    DEFAULT,
    BackendOptions,
    find_by_suffix,
    find_for_folder,
    rank_backends,
)
from lib.settings.base import ModelSettings
from lib.settings.domain import choose_model
from lib.spark.session import is_local
from lib.store import ModelReference, ModelStore, ModelVersion, read_version_contract
from lib.store.compatibility import check_contract
from lib.store.reference import is_url
from lib.store.version import find_version

logger = logging.getLogger(__name__)


def load_backend(
    spark: SparkSession,
    settings: ModelSettings,
    path: Path | str | None = None,
) -> ModelBackend:
    """Load the model that the settings name.

    On a cluster and in real-time mode ``auto`` avoids backends that need Python workers, if it can:
    Spark's real-time mode has none, and on a cluster a library that executors lack would be noticed
    too late. Where several models score the same records it takes such a backend, if it can:
    shadows score in Python workers only, and a challenger costs least there.

    Args:
        spark: the session to score in.
        settings: the settings, with store, model, backend and, for a model outside a store,
            contract.
        path: the result of an earlier :func:`find_model`: a moment later another version may be the
            champion.

    Returns:
        The loaded backend.

    Raises:
        ModelError: there is no such model, it is damaged, or it does not score the records that the
            contract allows.
        ContractError: the model is outside a store, and no contract is named.
        SettingsError: the model takes no preprocessor.
    """
    path = path or find_model(settings)
    contract = find_contract(settings, path)
    native_only = settings.is_real_time or not is_local(spark)
    workers_only = settings.has_shadows or (settings.has_rivals and not native_only)
    native_only = native_only and not workers_only
    backend = _build_backend(
        *(spark, settings, path, contract), native_only=native_only, workers_only=workers_only
    )
    return _open(backend, path, contract)


def load_rival(
    spark: SparkSession,
    settings: ModelSettings,
    name: str,
    contract: Contract,
    *,
    is_native: bool = False,
) -> ModelBackend:
    """Load another model for the champion's records, as the champion is loaded.

    Its backend is the first that it has in the champion's engine.

    Args:
        spark: the session to score in.
        settings: the settings of the champion, with store, contract and provider.
        name: the name of the model, in any form that ``--model`` takes.
        contract: the contract of the champion.
        is_native: whether the champion scores inside Spark's JVM.

    Raises:
        ModelError: there is no such model, it is damaged, was made for another contract, or does
            not score the records that the contract allows.
    """
    chosen = settings.model_copy(update={"model": name, "backend": "auto"})
    path = find_model(chosen)
    version = _find_version(path)
    if version is not None:
        check_contract(version.metadata, contract)
        # These describe a champion outside a store.
        chosen = chosen.model_copy(
            update={"positive_class": "", "columns": [], "preprocessor": None}
        )
    backend = _build_backend(
        *(spark, chosen, path, contract), native_only=is_native, workers_only=not is_native
    )
    return _open(backend, path, contract)


def _open(backend: ModelBackend, path: Path | str, contract: Contract) -> ModelBackend:
    """Load a backend, and let it score what the contract allows."""
    with naming_model(path):
        backend.load()
    probe(backend, contract)
    logger.info("model loaded scored_by=%s threshold=%g", backend.scored_by, backend.threshold)
    return backend


def find_contract(settings: ModelSettings, path: Path | str) -> Contract:
    """Find the contract of a model: its version's, or ``--contract`` for one outside a store.

    Raises:
        ModelMismatchError: ``--contract`` names another contract than the version carries.
        ContractError: the model is outside a store, and no contract is named.
    """
    return choose_contract(_find_version(path), settings.contract, f"--model {settings.model}")


def choose_contract(version: ModelVersion | None, file: Path | None, name: str) -> Contract:
    """Choose the contract of a version, or that of a file for a model outside a store.

    Args:
        version: the version; None for a model outside a store.
        file: the file that a caller names, which has to agree with the version; None for none.
        name: the name of the model, for messages.

    Raises:
        ModelMismatchError: the file holds another contract than the version carries.
        ContractError: the model is outside a store, and no file is named.
    """
    given = None if file is None else read_contract(file)
    if version is not None:
        if given is not None:
            check_contract(version.metadata, given)
        return read_version_contract(version)
    if given is None:
        raise ContractError(
            f"{name}: found a model outside a store, which carries no contract",
            hint="name the contract of its records with --contract FILE",
        )
    return given


def find_model(settings: ModelSettings) -> Path | str:
    """Find the folder or file that ``--store`` and ``--model`` name; a URL is returned as it is.

    Raises:
        ModelNotFoundError: there is no such model.
    """
    name = settings.model or choose_model(settings)
    if is_url(name):
        return name
    reference = ModelReference.parse(name)
    if reference.path is None:
        return ModelStore(settings.store).resolve(name).path
    if not reference.path.exists():
        raise ModelNotFoundError(f"--model {settings.model}: no such file or folder")
    return reference.path


def _build_backend(
    spark: SparkSession,
    settings: ModelSettings,
    path: Path | str,
    contract: Contract,
    *,
    native_only: bool,
    workers_only: bool,
) -> ModelBackend:
    name: str = settings.backend
    # A backend that is named has no substitute; auto takes one that is available.
    fallback: Path | str | None = None
    if name == "auto":
        name = choose_backend(path, native_only=native_only, workers_only=workers_only)
        # A model outside a store has no second form.
        fallback = None if _find_version(path) is None else path
    if settings.preprocessor is not None:
        _refuse_preprocessor(path, name)
    options = BackendOptions(
        fallback,
        settings.preprocessor,
        spark_session=spark,
        provider=settings.onnx_provider,
        contract=contract,
        positive_class=settings.positive_class or None,
        columns=tuple(settings.columns) or None,
    )
    return BACKENDS[name].build(path, options)


def _find_version(path: Path | str) -> ModelVersion | None:
    return None if isinstance(path, str) else find_version(path)


def _refuse_preprocessor(path: Path | str, backend: str) -> None:
    """Raise SettingsError if a model takes no preprocessor."""
    version = _find_version(path)
    if version is not None:
        raise SettingsError(
            f"--preprocessor: found the stored version {version.reference}, expected a model"
            " outside a store",
            hint="leave it out: a version has all its steps in one file",
        )
    if backend != DEFAULT:
        raise SettingsError(
            f"--preprocessor: found --backend {backend}, expected {DEFAULT}",
            hint="leave it out, or name the joblib file of the classifier with --model",
        )


def choose_backend(
    path: Path | str, *, native_only: bool = False, workers_only: bool = False
) -> str:
    """Choose the fastest backend that a model was saved for, in the order of ``rank_backends``.

    The metadata of a version tell it, the description in a folder of MLflow's, and the suffix of
    another file; another folder is a PipelineModel.

    Args:
        path: a version's folder, a file, or a PipelineModel's folder or URL.
        native_only: whether to choose a backend without Python workers, if the version has one.
        workers_only: whether to choose a backend with Python workers, if the version has one.
    """
    if isinstance(path, str):
        return find_by_suffix(Path(path)) or find_for_folder()
    version = find_version(path)
    if version is not None and version.path == path:
        usable = [
            kind
            for kind in rank_backends()
            if kind.is_automatic and version.has(kind.artefact) and kind.is_installed
            if kind.is_native or not native_only
        ]
        if workers_only:
            usable.sort(key=lambda kind: kind.is_native)
        return usable[0].name if usable else DEFAULT
    by_mlflow = find_mlflow_model(path)
    if by_mlflow is not None:
        return by_mlflow.backend
    if path.is_dir():
        return find_for_folder()
    return find_by_suffix(path) or DEFAULT
