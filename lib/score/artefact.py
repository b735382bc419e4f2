"""From what a caller names to the file or folder that holds the model."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from lib.errors import ModelError, ModelNotFoundError
from lib.score.fallback import NotUsableError
from lib.score.registry import BACKENDS, DEFAULT
from lib.store import ModelReference, ModelStore, ModelVersion
from lib.store.version import find_version

# Where NAME@champion and NAME@VERSION are looked up when the text names no store.
DEFAULT_STORE = "models"


@dataclass(frozen=True)
class Artefact:
    """Where a model lies.

    Attributes:
        path: of the file or folder; need not exist.
        version: that it belongs to; None for a model outside a store.
        is_whole: whether the caller named the version rather than one artefact of it.
    """

    path: Path
    version: ModelVersion | None
    is_whole: bool = False

    @property
    def label(self) -> str:
        """Names the model: the version, or the stem of a file or folder outside a store."""
        return self.path.stem if self.version is None else self.version.reference

    def read(self) -> bytes:
        """The file's bytes; of a stored version they are verified, and so is all of it if named.

        Raises:
            ModelCorruptError: a file is not the one that was saved.
        """
        if self.version is None:
            return self.path.read_bytes()
        if self.is_whole:
            self.version.verify()
        return self.version.read_artefact(self.path)


def find_artefact(model_path: str | os.PathLike[str], artefact: str) -> Artefact:
    """Find a model. Reads metadata at most; opens nothing.

    Args:
        model_path: a file, a folder, a version's folder, or ``NAME@champion`` or ``NAME@VERSION``,
            with or without a store's folder before it.
        artefact: file or folder of a version that is meant, such as ``pipeline.joblib``.

    Raises:
        ModelNotFoundError: a reference to no version.
        ModelCorruptError: there is a version, but a damaged one.
        SettingsError: the text is no reference.
    """
    reference = ModelReference.parse(model_path)
    if reference.path is None:
        version = ModelStore(DEFAULT_STORE).resolve(model_path)
        return Artefact(version.path / artefact, version, is_whole=True)
    found = find_version(reference.path)
    if found is not None and found.path == reference.path:
        return Artefact(found.path / artefact, found, is_whole=True)
    return Artefact(reference.path, found)


def find_file(model_path: str | os.PathLike[str], artefact: str) -> Artefact:
    """The same of a model that is one file.

    Raises:
        NotUsableError: there is none.
    """
    try:
        found = find_artefact(model_path, artefact)
    except ModelNotFoundError as error:
        raise NotUsableError(f"the path does not exist: {error.message}") from error
    if not found.path.is_file():
        raise NotUsableError(f"the path does not exist: {found.path}")
    return found


def find_fallback(model_path: str | os.PathLike[str]) -> Path | None:
    """The file that stands in, of the version that ``model_path`` names; None where there is none.

    Errors are left to loading, which says them better.
    """
    try:
        found = find_artefact(model_path, BACKENDS[DEFAULT].artefact)
    except ModelError:
        return None
    if found.version is None:
        return None
    path = found.version.path / BACKENDS[DEFAULT].artefact
    return path if path.is_file() else None
