"""Finds the version that a command line names."""

from __future__ import annotations

from pathlib import Path

from lib.errors import SettingsError
from lib.store import ModelReference, ModelStore, ModelVersion


def name_stored(root: Path, text: str) -> tuple[ModelStore, str, int]:
    """Return store, name and number of the version that a reference names, damaged or not.

    Args:
        root: the folder of the store, if the reference names none.
        text: ``NAME@VERSION`` or ``NAME@champion``, either behind the folder of another store.

    Raises:
        SettingsError: the text names no version in a store.
        ModelNotFoundError: the model has no champion.
    """
    reference = ModelReference.parse(text)
    if reference.path is not None:
        raise SettingsError(
            f"{text}: expected a version in a store",
            hint="name it as NAME@VERSION or NAME@champion; models.py list shows them",
        )
    store = ModelStore(reference.store or root)
    return store, reference.name, reference.version or store.read_champion(reference.name)


def find_stored(root: Path, text: str) -> tuple[ModelStore, ModelVersion]:
    """Find a version in a store; see :func:`name_stored`.

    Raises:
        SettingsError: the text names no version in a store.
        ModelError: there is no such version, or it is damaged.
    """
    store, name, version = name_stored(root, text)
    return store, store.resolve(f"{name}@{version}")
