"""The model store: ``<root>/<name>/<version>/`` with artefacts and ``metadata.json``.

Guarantee: a version appears whole or not at all, under a number of its own, and is never changed.
``<root>/<name>/champion`` holds the number of the version in use and is replaced atomically.
Assumes: one file system that renames atomically (any POSIX one; not an object store).
On failure: a save that raises or is killed leaves no version. After a kill a hidden folder
``.saving-…`` stays behind, which nothing reads and which may be deleted.
"""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from lib.errors import ModelCorruptError, ModelInUseError, ModelNotFoundError, SettingsError
from lib.file_errors import check_folder, naming_file
from lib.record.contract import Contract
from lib.store.access import close_to_others, refuse_if_others_write
from lib.store.champions import (
    list_champions,
    lock_changes,
    push_champion,
    read_champion,
    return_to_champion,
)
from lib.store.compatibility import check_contract
from lib.store.contract import read_version_contract
from lib.store.evidence import Probe
from lib.store.metadata import METADATA_FILE
from lib.store.reference import CHAMPION, ModelReference, is_name
from lib.store.saving import list_numbers, save_version, share_files
from lib.store.version import ModelVersion, open_version
from lib.store.writing import sync

# The facts of a version that belong to its files.
_KEPT = ("metrics", "libraries", "training", "positive_class", "columns")


class ModelStore:
    """The model versions below one folder, which the first save creates."""

    def __init__(self, root: str | os.PathLike[str]) -> None:
        self.root = Path(root)

    def save(
        self,
        name: str,
        write_artefacts: Callable[[Path], None],
        *,
        probe: Probe,
        metrics: Mapping[str, Mapping[str, Mapping[str, float]]],
        threshold: float,
        contract: Contract,
        libraries: Mapping[str, str],
        training: Mapping[str, Any],
        now: datetime,
        positive_class: str | None = None,
        columns: Sequence[str] | None = None,
        origin: Mapping[str, Any] | None = None,
    ) -> ModelVersion:
        """Save a new version: write it to a hidden folder, probe, hash and sync it, rename it.

        Args:
            name: the name of the model.
            write_artefacts: a function that writes all files into a given folder.
            probe: a function that lets each model in that folder score, and returns backend →
                evidence: a ``partial`` of :func:`lib.score.admission.artefacts.probe_artefacts`.
            metrics: estimator → metric → {"mean", "std"}.
            threshold: the probability in [0, 1] from which the prediction is the positive label.
            contract: the contract of the training data; the version carries it.
            libraries: distribution → version, from :func:`lib.store.installed_libraries`.
            training: the number of rows, the kind of source, the seed; any JSON object.
            now: the time of saving, with a time zone.
            positive_class: the model's own name of the class that the positive label means; None if
                its classes tell it.
            columns: the columns of a model that takes them by position, in its order.
            origin: see :attr:`lib.store.ModelMetadata.origin`.

        Raises:
            SettingsError: the name is not valid.
            FileError: this user must not write there, or the device is full.
            ModelNotTrustedError: other users than its owner may write the store.
            ModelError: a model does not score.
            ValueError: ``write_artefacts`` wrote no model, a ``metadata.json`` or another contract,
                a model was not probed, a value does not fit the metadata, or ``now`` has no time
                zone.
        """
        facts = {
            "metrics": {k: {m: dict(s) for m, s in v.items()} for k, v in metrics.items()},
            "threshold": float(threshold),
            "libraries": dict(libraries),
            "training": dict(training),
            "positive_class": positive_class,
            "columns": None if columns is None else list(columns),
            "origin": None if origin is None else dict(origin),
        }
        return self._save(name, write_artefacts, probe, contract, facts, now)

    def save_again(
        self,
        version: ModelVersion,
        *,
        threshold: float,
        origin: Mapping[str, Any],
        now: datetime,
        amend: Callable[[Path], None] = lambda _: None,
    ) -> ModelVersion:
        """Save the files of a version as a new one with another threshold.

        They were probed when the version was saved. They are shared with it where the file system
        can do that, and outlive it.

        Args:
            version: a version of this store.
            threshold: the probability in [0, 1] from which the prediction is the positive label.
            origin: see :attr:`lib.store.ModelMetadata.origin`.
            now: the time of saving, with a time zone.
            amend: a function that replaces files beside the models in the folder of the new
                version; it must not write into one, because that may be the old version's too.

        Raises:
            ModelError: a file of the version is not the one that was saved.
            FileError: this user must not write there, or the device is full.
        """
        version.verify()
        old = version.metadata
        facts = {
            **{name: getattr(old, name) for name in _KEPT},
            "threshold": float(threshold),
            "origin": dict(origin),
        }
        contract = read_version_contract(version)

        def copy(folder: Path) -> None:
            share_files(version, folder)
            amend(folder)

        return self._save(old.name, copy, None, contract, facts, now)

    def _save(
        self,
        name: str,
        write_artefacts: Callable[[Path], None],
        probe: Probe | None,
        contract: Contract,
        facts: Mapping[str, Any],
        now: datetime,
    ) -> ModelVersion:
        folder = self._folder(name)
        if now.tzinfo is None:
            raise ValueError("now has no time zone")
        self.check_writable(name)
        return save_version(folder, write_artefacts, probe, contract, facts, now)

    def check_writable(self, name: str) -> None:
        """Make sure that a version of the model can be saved.

        Raises:
            FileError: this user must not write there, or the device takes no file.
            ModelNotTrustedError: other users than its owner may write the store.
            SettingsError: the name is not valid.
        """
        folder = self._folder(name)
        with naming_file(folder):
            for missing in [it for it in (folder, *folder.parents) if not it.exists()][::-1]:
                missing.mkdir(exist_ok=True)
                close_to_others(missing)
        refuse_if_others_write(self.root, [folder])
        check_folder(folder)

    def promote(self, name: str, version: int) -> None:
        """Make a version the champion.

        Raises:
            ModelNotFoundError: there is no such version.
            ModelCorruptError: its metadata is damaged.
            ModelNotTrustedError: other users than the owner may write it.
            FileError: this user must not write there.
        """
        self._open(name, version)
        folder = self._folder(name)
        with lock_changes(folder):
            self._open(name, version).refuse_if_others_write()
            try:
                before = list_champions(folder)
            except ModelCorruptError:  # this puts a pointer right that somebody has damaged
                before = []
            push_champion(folder, before, version)

    def promote_first(self, name: str, version: int) -> bool:
        """Make a version the champion if the model has none; return whether it had none."""
        folder = self._folder(name)
        with lock_changes(folder):
            if read_champion(folder) is not None:
                return False
            push_champion(folder, [], version)
            return True

    def roll_back(self, name: str) -> int:
        """Make the champion before the present one the champion again, and return its number.

        Versions that were deleted since are passed over. Doing so twice goes back twice.

        Raises:
            ModelNotFoundError: the model has no champion, or had none before.
            ModelCorruptError: the pointer or that version's metadata is damaged.
            ModelNotTrustedError: other users than the owner may write that version.
            FileError: this user must not write there.
        """
        self.read_champion(name)
        folder, known = self._folder(name), set(self.versions(name))
        with lock_changes(folder):
            champions = list_champions(folder)
            present = champions.pop()
            while champions and (champions[-1] not in known or champions[-1] == present):
                champions.pop()
            if not champions:
                raise ModelNotFoundError(
                    f"{name}@{present}: found no champion before it that is still there; versions"
                    f" of {name}: {sorted(known)}",
                    hint="name the version to go back to: models.py promote NAME@VERSION",
                )
            self._open(name, champions[-1]).refuse_if_others_write()
            return_to_champion(folder, champions)
        return champions[-1]

    def delete(self, name: str, version: int) -> None:
        """Delete a version: it is gone at once, and its files a moment later.

        Raises:
            ModelNotFoundError: there is no such version.
            ModelInUseError: the version is the champion, or has the highest number.
            FileError: this user must not write there.
        """
        folder = self._folder(name)
        path = folder / str(version)
        aside = folder / f".deleted-{uuid.uuid4().hex}"
        self._require(name, version)
        with lock_changes(folder):
            self._require(name, version)
            if read_champion(folder) == version:
                raise ModelInUseError(
                    f"{name}@{version}: is the champion", hint="promote another version first"
                )
            if version == max(list_numbers(folder)):
                raise ModelInUseError(
                    f"{name}@{version}: has the highest number, after which the next version is"
                    " numbered",
                    hint="keep it until there is a newer one",
                )
            with naming_file(path):
                path.rename(aside)
                sync(folder)
        with naming_file(aside):
            if aside.is_symlink():
                aside.unlink()
            else:
                shutil.rmtree(aside)

    def resolve(
        self, reference: str | os.PathLike[str], *, contract: Contract | None = None
    ) -> ModelVersion:
        """Find the version that a reference names, and read its metadata but no artefact.

        Args:
            reference: ``NAME@champion`` or ``NAME@VERSION``, either behind the folder of another
                store, or the path of a version's folder anywhere.
            contract: the contract that the version has to be made for; None for any.

        Raises:
            SettingsError: the text is no reference.
            ModelNotFoundError: there is no such model or version.
            ModelCorruptError: the version is damaged, or does not belong to its folder.
            ModelMismatchError: the version was made for another contract.
        """
        parsed = ModelReference.parse(reference)
        if parsed.path is not None:
            found = open_version(parsed.path)
        else:
            store = self if parsed.store is None else ModelStore(parsed.store)
            version = parsed.version or store.read_champion(parsed.name)
            found = store._open(parsed.name, version)
        if contract is not None:
            check_contract(found.metadata, contract)
        return found

    def names(self) -> list[str]:
        """List the names of the models that have versions, in order."""
        if not self.root.is_dir():
            return []
        return sorted(
            it.name for it in self.root.iterdir() if is_name(it.name) and list_numbers(it)
        )

    def versions(self, name: str) -> list[int]:
        """List the numbers of a model's versions in order; empty if there is no such model."""
        folder = self._folder(name)
        return sorted(
            n for n in list_numbers(folder) if (folder / str(n) / METADATA_FILE).is_file()
        )

    def read_champion(self, name: str) -> int:
        """Read the number of the version in use.

        Raises:
            ModelNotFoundError: the model has no champion.
            ModelCorruptError: the pointer is a symbolic link or holds no number.
        """
        folder = self._folder(name)
        number = read_champion(folder)
        if number is None:
            raise ModelNotFoundError(
                f"{folder / CHAMPION}: not found; versions of {name}:"
                f" {self.versions(name) or 'none'}",
                hint="train a version with jobs/train.py, or name one as NAME@VERSION",
            )
        return number

    def _open(self, name: str, version: int) -> ModelVersion:
        self._require(name, version)
        path = self._folder(name) / str(version)
        found = open_version(path)
        if (found.name, found.version) != (name, version):
            raise ModelCorruptError(
                f"{path}: found the metadata of {found.reference}, expected {name}@{version}",
                hint="versions are not renamed or copied over; train a new one",
            )
        return found

    def _require(self, name: str, version: int) -> None:
        """Raise ModelNotFoundError if there is no such version, damaged or not."""
        folder = self._folder(name)
        path = folder / str(version)
        if folder.is_symlink():
            raise ModelCorruptError(f"{folder}: found a symbolic link, expected a plain folder")
        if not path.is_symlink() and not (path / METADATA_FILE).exists():
            raise ModelNotFoundError(
                f"{name}@{version}: not found in {self.root}; "
                f"versions of {name}: {self.versions(name) or 'none'}"
            )

    def _folder(self, name: str) -> Path:
        if not is_name(name):
            raise SettingsError(
                f"model name {name!r}: expected up to 64 letters, digits, '_', '-' and '.', "
                "starting with a letter or digit and without '..'",
                hint="choose another name",
            )
        return self.root / name
