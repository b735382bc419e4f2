"""One saved version of a model and the paths of its artefacts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lib.errors import ModelCorruptError, ModelNotFoundError
from lib.store import access, checksum
from lib.store.metadata import METADATA_FILE, ModelMetadata, is_version_metadata

CONTRACT_ARTEFACT = "contract.toml"
#: The effect of each field on the score of a linear model.
EFFECTS_ARTEFACT = "effects.json"
#: The bins of the training data, from which drift is measured.
PROFILE_ARTEFACT = "profile.json"


@dataclass(frozen=True)
class ModelVersion:
    """A version in its folder.

    Attributes:
        name: the name of the model.
        version: the number of the version, from 1.
        path: the folder of the version.
        metadata: the metadata of the version.
    """

    name: str
    version: int
    path: Path
    metadata: ModelMetadata

    @property
    def reference(self) -> str:
        """The reference that always names this version, such as ``NAME@3``."""
        return f"{self.name}@{self.version}"

    def has(self, artefact: str) -> bool:
        """Tell whether the version was saved with a file or folder, such as ``pipeline.onnx``."""
        return any(
            path == artefact or path.startswith(f"{artefact}/") for path in self.metadata.artefacts
        )

    def verify(self) -> None:
        """Compare all files with their checksums; call it before a file is opened.

        Raises:
            ModelCorruptError: a file is altered, missing or extra.
            ModelNotTrustedError: other users than their owner may write the files.
        """
        self.refuse_if_others_write()
        checksum.verify(self.path, self.metadata)

    def read_artefact(self, path: Path) -> bytes:
        """Read one file, and return the same bytes whose checksum was compared.

        Raises:
            ModelCorruptError: the file is not the one that was saved.
            ModelNotTrustedError: other users than their owner may write the version.
        """
        self.refuse_if_others_write()
        expected = self.metadata.artefacts.get(path.relative_to(self.path).as_posix())
        content = path.read_bytes()
        checksum.check_hash(path, checksum.sha256_bytes(content), expected)
        return content

    def refuse_if_others_write(self) -> None:
        """Refuse a version that other users than the owner may write, or put another in its place.

        Raises:
            ModelNotTrustedError: others may write; the error names the path and the command.
        """
        model = self.path.resolve().parent
        access.refuse_if_others_write(
            model.parent, [model, self.path, *sorted(self.path.rglob("*"))]
        )


def open_version(path: Path) -> ModelVersion:
    """Open the version in a folder, which reads its metadata but no artefact.

    Raises:
        ModelNotFoundError: there is no version in ``path``.
        ModelCorruptError: the folder or the file is a symbolic link, or the metadata is damaged.
    """
    file = path / METADATA_FILE
    for link in (path, file):
        if link.is_symlink():
            raise ModelCorruptError(
                f"{link}: found a symbolic link, expected a plain file or folder",
                hint="name the version's folder itself",
            )
    if not file.is_file():
        raise ModelNotFoundError(
            f"{path}: found no {METADATA_FILE} in it, expected the folder of a model version",
            hint="name a version as NAME@champion or NAME@VERSION, or by its folder's path",
        )
    metadata = ModelMetadata.from_json(_read_text(file), place=str(file))
    return ModelVersion(metadata.name, metadata.version, path, metadata)


def find_version(path: Path) -> ModelVersion | None:
    """Find the version that ``path`` is or is in, at any depth; None for a model outside a store.

    Raises:
        ModelCorruptError: there is a version, but a damaged one.
    """
    for folder in (path, *path.parents):
        file = folder / METADATA_FILE
        if file.is_file() and is_version_metadata(_read_text(file)):
            return open_version(folder)
    return None


def _read_text(file: Path) -> str:
    return file.read_bytes().decode(errors="replace")
