"""Reads the files of drift in a checkpoint. Pure.

``drift/windows/NUMBER`` is a closed window, ``drift/states/NUMBER`` what was counted up to some
offsets, of which the highest number counts. Each is one line of JSON.
"""

from __future__ import annotations

import json
from typing import Any, Protocol

from lib.drift.window import Window

WINDOWS, STATES = "drift/windows", "drift/states"
#: The number of closed windows that are kept.
KEPT_WINDOWS = 200


class DriftDamagedError(ValueError):
    """A file of drift holds something else."""


class Files(Protocol):
    """The files of a checkpoint, wherever it is."""

    def list_numbers(self, folder: str) -> list[int]:
        """List the numbers that name files of a folder; empty where there is none."""

    def read_text(self, relative: str) -> str:
        """Read a whole file."""

    def name(self, relative: str) -> str:
        """Return a file's whole name, for messages."""


class DriftFolder:
    """The folder ``drift`` of one checkpoint.

    Args:
        files: the files of the checkpoint.
    """

    def __init__(self, files: Files) -> None:
        self._files = files

    def find_state(self) -> dict[str, Any] | None:
        """Read the newest state; None if there is none.

        Raises:
            DriftDamagedError: its text is no object of JSON.
        """
        newest = max(self._files.list_numbers(STATES), default=None)
        return None if newest is None else self._read(f"{STATES}/{newest}")

    def find_open_window(self) -> Window | None:
        """Read the window that was open when the newest state was saved; None if there was none.

        Raises:
            DriftDamagedError: the state is none.
        """
        state = self.find_state()
        values = None if state is None else state.get("window")
        return None if values is None else _build_window(values, self._files.name(STATES))

    def list_windows(self, count: int) -> list[Window]:
        """Read the last closed windows, the newest first.

        Raises:
            DriftDamagedError: a file holds no window.
        """
        numbers = sorted(self._files.list_numbers(WINDOWS), reverse=True)[:count]
        names = [f"{WINDOWS}/{number}" for number in numbers]
        return [_build_window(self._read(name), self._files.name(name)) for name in names]

    def _read(self, name: str) -> dict[str, Any]:
        try:
            value = json.loads(self._files.read_text(name))
        except (ValueError, RecursionError) as error:
            raise DriftDamagedError(f"{self._files.name(name)}: {error}") from error
        if not isinstance(value, dict):
            found = f"found {type(value).__name__}, expected an object"
            raise DriftDamagedError(f"{self._files.name(name)}: {found}")
        return value


def write_line(value: dict[str, Any]) -> str:
    """Write the text of a file."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False) + "\n"


def _build_window(values: Any, place: str) -> Window:
    try:
        return Window.from_json(values)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DriftDamagedError(f"{place}: found no window: {error!r}") from error
