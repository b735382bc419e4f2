"""Saves a version in a hidden folder, and gives it its number once it is whole."""

from __future__ import annotations

import errno
import shutil
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lib.errors import ModelCorruptError
from lib.file_errors import naming_file
from lib.record.contract import Contract
from lib.record.contract_file import parse_contract
from lib.record.contract_writer import write_contract
from lib.store.access import close_to_others
from lib.store.checksum import hash_tree, list_files
from lib.store.evidence import Probe, require_evidence
from lib.store.metadata import METADATA_FILE, ModelMetadata
from lib.store.reference import VERSION
from lib.store.version import CONTRACT_ARTEFACT, ModelVersion
from lib.store.writing import sync

# The errors, by platform, of renaming a folder to the name of one that is not empty.
_TAKEN = frozenset({errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR, errno.EACCES})


def save_version(
    folder: Path,
    write_artefacts: Callable[[Path], None],
    probe: Probe | None,
    contract: Contract,
    facts: Mapping[str, Any],
    now: datetime,
) -> ModelVersion:
    """Save a new version below the folder of its model; see ``ModelStore.save``.

    Args:
        folder: the folder of the model, which is there.
        write_artefacts: a function that writes all files into a given folder.
        probe: a function that lets each model in that folder score; None for files that were probed
            when another version was saved.
        contract: the contract, which the version carries.
        facts: the values of the metadata that the caller knows.
        now: the time of saving, with a time zone.

    Raises:
        FileError: the device is full.
        ModelError: a model does not score.
        ValueError: see ``ModelStore.save``.
    """
    aside = folder / f".saving-{uuid.uuid4().hex}"
    aside.mkdir()
    try:
        with naming_file(aside):
            write_artefacts(aside)
        if (aside / METADATA_FILE).exists():
            raise ValueError(f"write_artefacts wrote {METADATA_FILE}, which is the store's own")
        if not list_files(aside):
            raise ValueError("write_artefacts wrote no file")
        _write_contract(contract, aside / CONTRACT_ARTEFACT)
        if probe is not None:
            require_evidence(aside, probe(aside))
        draft = ModelMetadata(
            name=folder.name,
            version=1,
            created=now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            contract_fingerprint=contract.fingerprint,
            artefacts=hash_tree(aside),
            **facts,
        )
        for file in list_files(aside):
            sync(file)
        return _claim_number(folder, aside, draft)
    finally:
        # After the rename this folder does not exist any more.
        shutil.rmtree(aside, ignore_errors=True)


def _claim_number(folder: Path, aside: Path, draft: ModelMetadata) -> ModelVersion:
    """Rename ``aside`` to the next free number; concurrent saves get different numbers."""
    number = max(list_numbers(folder), default=0)
    while True:
        number += 1
        metadata = _with_version(draft, number)
        (aside / METADATA_FILE).write_text(metadata.to_json(), encoding="utf-8")
        sync(aside / METADATA_FILE)
        close_to_others(aside)
        for inner in [aside, *(path for path in aside.rglob("*") if path.is_dir())]:
            sync(inner)
        try:
            # This fails if the target is not empty, and no version is empty.
            aside.rename(folder / str(number))
        except OSError as error:
            if error.errno not in _TAKEN or not (folder / str(number)).exists():
                raise
            continue
        sync(folder)
        return ModelVersion(draft.name, number, folder / str(number), metadata)


def share_files(version: ModelVersion, folder: Path) -> None:
    """Link a version's files into another folder, or copy them where that cannot be done."""
    for name in version.metadata.artefacts:
        old, new = version.path / name, folder / name
        new.parent.mkdir(parents=True, exist_ok=True)
        try:
            new.hardlink_to(old)
        except OSError:  # the file system has no such links, or the file belongs to somebody else
            shutil.copyfile(old, new)


def list_numbers(folder: Path) -> list[int]:
    """List every number that is taken by a version or by another file of that name."""
    if not folder.is_dir():
        return []
    return [int(path.name) for path in folder.iterdir() if VERSION.fullmatch(path.name)]


def _write_contract(contract: Contract, file: Path) -> None:
    """Write the contract; the artefacts may hold the same one already, but no other."""
    if not file.exists():
        file.write_text(write_contract(contract), encoding="utf-8")
    elif parse_contract(file.read_text(encoding="utf-8"), str(file)) != contract:
        raise ValueError(
            f"write_artefacts wrote a {file.name} that is not the contract {contract.name}"
        )


def _with_version(draft: ModelMetadata, number: int) -> ModelMetadata:
    """Give the draft its number, and check it as a reader does."""
    values = {**vars(draft), "version": number}
    try:
        return ModelMetadata.from_json(ModelMetadata(**values).to_json(), place="metadata to save")
    except ModelCorruptError as error:
        raise ValueError(error.message) from error
