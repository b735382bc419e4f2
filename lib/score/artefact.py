"""Finds the file or folder of the model that a caller names."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from lib.errors import ModelError, ModelNotFoundError
from lib.score.fallback import NotUsableError
from lib.score.mlflow_folder import find_mlflow_model
from lib.score.registry import BACKENDS, DEFAULT
from lib.store import ModelReference, ModelStore, ModelVersion
from lib.store.reference import is_url
from lib.store.version import find_version

# The store of NAME@champion and NAME@VERSION if the text names none.
DEFAULT_STORE = "models"


@dataclass(frozen=True)
class Artefact:
    """The file or folder of a model.

    Attributes:
        path: the path of the file or folder, which may not exist.
        version: the version that it belongs to; None for a model outside a store.
        is_whole: whether the caller has named the version and not one artefact of it.
        folder: the folder of MLflow's that it was found in; None if there is no such folder.
        saved_by: the version of scikit-learn that saved it, if MLflow tells; else None.
    """

    path: Path
    version: ModelVersion | None
    is_whole: bool = False
    folder: Path | None = None
    saved_by: str | None = None

    @property
    def label(self) -> str:
        """The name of the model: its version, or the stem of a file or folder outside a store."""
        if self.version is not None:
            return self.version.reference
        return self.path.stem if self.folder is None else self.folder.name

    def read(self) -> bytes:
        """Read the file, and verify it, or all files of a stored version that was named.

        Raises:
            ModelCorruptError: a file is not the one that was saved.
        """
        if self.version is None:
            return self.path.read_bytes()
        if self.is_whole:
            self.version.verify()
        return self.version.read_artefact(self.path)


def find_artefact(model_path: str | os.PathLike[str], artefact: str) -> Artefact:
    """Find a model, and read at most metadata of it.

    Args:
        model_path: a file, a folder, a version's folder, or ``NAME@champion`` or ``NAME@VERSION``,
            with or without a store's folder before it.
        artefact: the file or folder of a version, such as ``pipeline.joblib``.

    Raises:
        ModelNotFoundError: the reference names no version, or is a URL.
        ModelCorruptError: there is a version, but a damaged one.
        ModelError: a folder of MLflow's holds no model that can be scored.
        SettingsError: the text is no reference.
    """
    if is_url(os.fspath(model_path)):
        raise ModelNotFoundError(
            f"{model_path}: found a URL, expected a file on a disk of this machine: only models of"
            " Spark are read from elsewhere",
            hint="copy the file to this machine",
        )
    reference = ModelReference.parse(model_path)
    if reference.path is None:
        version = ModelStore(DEFAULT_STORE).resolve(model_path)
        return Artefact(version.path / artefact, version, is_whole=True)
    found = find_version(reference.path)
    if found is not None and found.path == reference.path:
        return Artefact(found.path / artefact, found, is_whole=True)
    by_mlflow = find_mlflow_model(reference.path)
    if by_mlflow is not None:
        facts = (reference.path, by_mlflow.sklearn_version)
        return Artefact(by_mlflow.path, None, False, *facts)
    return Artefact(reference.path, found)


def find_file(model_path: str | os.PathLike[str], artefact: str) -> Artefact:
    """Find a model that is one file; see :func:`find_artefact`.

    Raises:
        NotUsableError: there is no such file.
    """
    try:
        found = find_artefact(model_path, artefact)
    except ModelNotFoundError as error:
        raise NotUsableError(f"the path does not exist: {error.message}") from error
    if not found.path.is_file():
        raise NotUsableError(f"the path does not exist: {found.path}")
    return found


def find_fallback(model_path: str | os.PathLike[str]) -> Path | None:
    """Find the fallback's file in the version that ``model_path`` names; None if there is none.

    Errors give None too, because loading reports them better.
    """
    try:
        found = find_artefact(model_path, BACKENDS[DEFAULT].artefact)
    except ModelError:
        return None
    if found.version is None:
        return None
    path = found.version.path / BACKENDS[DEFAULT].artefact
    return path if path.is_file() else None
