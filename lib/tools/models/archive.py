"""Packs one version into an archive, and reads one back without trusting it.

The archive is a plain ``.tar.gz`` with the version's files below ``NAME/VERSION/``.
"""

from __future__ import annotations

import gzip
import hashlib
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO

from lib.errors import ContractError, ModelCorruptError, SettingsError
from lib.file_errors import naming_file
from lib.record.contract import Contract
from lib.record.contract_file import parse_contract
from lib.score.registry import BACKENDS, BackendKind
from lib.setup.whole_file import make_whole
from lib.store import ModelVersion
from lib.store.compatibility import check_library
from lib.store.metadata import METADATA_FILE, ModelMetadata
from lib.store.version import CONTRACT_ARTEFACT

SUFFIX = ".tar.gz"
# Backend → the library whose minor version its models belong to.
_LIBRARIES = {"sklearn": "scikit-learn", "spark": "pyspark"}
# No metadata and no contract of a version is larger.
_MAX_TEXT_BYTES = 16 * 1024 * 1024
_CHUNK_BYTES = 1024 * 1024


def write_archive(version: ModelVersion, path: Path, *, overwrite: bool) -> None:
    """Write a version into an archive, which appears whole or not at all.

    Args:
        version: the version; its files are verified first.
        path: the file of the archive.
        overwrite: whether to replace a file that is there.

    Raises:
        SettingsError: the file exists.
        ModelError: a file of the version is not the one that was saved.
    """
    if path.exists() and not overwrite:
        raise SettingsError(f"--output {path}: exists", hint="replace it with --overwrite")
    version.verify()
    root = f"{version.name}/{version.version}"
    # Without times and users in it, equal versions make equal archives.
    with (
        naming_file(path),
        make_whole(path) as fresh,
        fresh.open("wb") as raw,
        gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive,
    ):
        for name in [METADATA_FILE, *sorted(version.metadata.artefacts)]:
            file = version.path / name
            member = tarfile.TarInfo(f"{root}/{name}")
            member.size = file.stat().st_size
            with file.open("rb") as content:
                archive.addfile(member, content)


class Archive:
    """An archive of a version whose metadata and contract have been read and checked.

    Attributes:
        path: the path of the archive.
        metadata: the metadata of the version, as it was where it comes from.
        contract: the contract of the version.
    """

    def __init__(self, path: Path) -> None:
        """Read the archive's metadata and contract.

        Raises:
            SettingsError: there is no such file.
            ModelCorruptError: the file is no archive of a version, or holds other files, other
                paths or another contract than its metadata say.
        """
        self.path = path
        texts: dict[str, str] = {}
        names: list[str] = []
        for name, _, content in self._iter_files():
            names.append(name)
            if name in (METADATA_FILE, CONTRACT_ARTEFACT):
                texts[name] = content.read(_MAX_TEXT_BYTES).decode(errors="replace")
        for needed in (METADATA_FILE, CONTRACT_ARTEFACT):
            if needed not in texts:
                raise self._refuse(f"found no {needed} in it")
        self.metadata = ModelMetadata.from_json(texts[METADATA_FILE], place=f"{path}:metadata.json")
        expected = sorted([METADATA_FILE, *self.metadata.artefacts])
        if sorted(names) != expected:
            other = sorted({*names} ^ {*expected}) or sorted(names)
            raise self._refuse(f"its files are not those of the metadata: {', '.join(other[:5])}")
        try:
            self.contract: Contract = parse_contract(texts[CONTRACT_ARTEFACT], CONTRACT_ARTEFACT)
        except ContractError as error:
            raise self._refuse(error.message) from error
        if self.contract.fingerprint != self.metadata.contract_fingerprint:
            raise self._refuse(
                f"found a contract with the fingerprint {self.contract.fingerprint}, expected"
                f" {self.metadata.contract_fingerprint}, as the metadata say"
            )

    def list_backends(self) -> list[BackendKind]:
        """List the backends that the version has a model for."""
        files = self.metadata.artefacts
        return [
            kind
            for kind in BACKENDS.values()
            if any(name.split("/")[0] == kind.artefact for name in files)
        ]

    def check_libraries(self) -> None:
        """Refuse a version that was saved under other minor versions of the libraries.

        Raises:
            ModelMismatchError: one differs; the error names both.
        """
        names = [kind.name for kind in self.list_backends()]
        for name, library in _LIBRARIES.items():
            if name in names:
                check_library(self.metadata, library)

    def unpack(self, folder: Path) -> None:
        """Write the version's files below a folder, and compare each with its checksum.

        Raises:
            ModelCorruptError: a file is not the one that was saved.
        """
        missing = {*self.metadata.artefacts}
        for name, size, content in self._iter_files():
            if name == METADATA_FILE:
                continue
            missing.discard(name)
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            digest, written = hashlib.sha256(), 0
            with target.open("xb") as file:
                while chunk := content.read(_CHUNK_BYTES):
                    digest.update(chunk)
                    written += file.write(chunk)
            if written != size or digest.hexdigest() != self.metadata.artefacts.get(name):
                raise self._refuse(
                    f"{name}: found sha256 {digest.hexdigest()}, expected"
                    f" {self.metadata.artefacts.get(name)}"
                )
        if missing:
            raise self._refuse(f"found no {min(missing)} in it")

    def _iter_files(self) -> Iterator[tuple[str, int, IO[bytes]]]:
        """Iterate over (path in the version, size, content) of the plain files."""
        root: PurePosixPath | None = None
        with self._opened() as archive:
            for member in archive:
                path = PurePosixPath(member.name)
                if path.is_absolute() or ".." in path.parts or "\\" in member.name:
                    raise self._refuse(f"found the path {member.name!r}, which leads out of it")
                if member.isdir():
                    continue
                content = archive.extractfile(member) if member.isreg() else None
                if content is None:
                    raise self._refuse(f"{member.name}: found a link or special file")
                root = root or PurePosixPath(*path.parts[:2])
                if len(path.parts) < 3 or not path.is_relative_to(root):
                    raise self._refuse(
                        f"found the path {member.name!r}, expected NAME/VERSION/FILE"
                    )
                yield str(path.relative_to(root)), member.size, content

    @contextmanager
    def _opened(self) -> Iterator[tarfile.TarFile]:
        try:
            with tarfile.open(self.path, "r:gz") as archive:
                yield archive
        except FileNotFoundError as error:
            raise SettingsError(
                f"{self.path}: no such file", hint="name an archive of models.py export"
            ) from error
        except (tarfile.TarError, EOFError, gzip.BadGzipFile, zlib.error, ValueError) as error:
            raise self._refuse(f"cannot be read: {error}") from error

    def _refuse(self, found: str) -> ModelCorruptError:
        return ModelCorruptError(
            f"{self.path}: {found}", hint="name an archive of models.py export, and copy it whole"
        )
