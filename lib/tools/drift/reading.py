"""Reads the windows of a checkpoint, with Spark only where it is not on this machine."""

from __future__ import annotations

from pathlib import Path

from lib.drift.folder import DriftFolder, Files
from lib.errors import SettingsError
from lib.file_errors import find_local_path, naming_file
from lib.spark.local_session import build_local_session


class LocalFiles:
    """The files of a checkpoint on this machine.

    Args:
        root: the folder of the checkpoint.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    def list_numbers(self, folder: str) -> list[int]:
        """List the numbers that name files of a folder; empty where there is none."""
        path = self._root / folder
        with naming_file(path):
            names = [it.name for it in path.iterdir()] if path.is_dir() else []
        return [int(name) for name in names if name.isdecimal()]

    def read_text(self, relative: str) -> str:
        """Read a whole file."""
        path = self._root / relative
        with naming_file(path):
            return path.read_text(encoding="utf-8")

    def name(self, relative: str) -> str:
        """Return a file's whole name, for messages."""
        return str(self._root / relative)


def open_folder(location: str) -> DriftFolder:
    """Open the folder of drift in a checkpoint.

    Raises:
        SettingsError: there is no such checkpoint on this machine.
    """
    local = find_local_path(location)
    if local is not None:
        root = Path(local)
        if not root.is_dir():
            raise SettingsError(
                f"--checkpoint {location}: no such folder",
                hint="name the checkpoint of the job, or its --query-name",
            )
        return DriftFolder(LocalFiles(root))
    from lib.exactly_once.checkpoint.files import CheckpointFiles

    files: Files = CheckpointFiles(build_local_session("drift"), location)
    return DriftFolder(files)
