"""Keeps the results of evaluations as generations, of which one is the current one. Pure.

The output folder holds:

- ``generations/NUMBER-ID``: the whole result of one evaluation, and what it has read;
- ``current``: a symbolic link to the current one, which is replaced in one atomic step;
- ``lock``: a file that the running evaluation has locked.

Guarantee: whoever opens ``current`` finds a whole generation, and a run that is killed at any
moment leaves the current one as it was. The next run removes what the killed one has left. The
previous generation stays until the next run, for readers that have opened it. Assumes a local file
system, or one with atomic renames, symbolic links and locks. Runs on the driver.
"""

from __future__ import annotations

import json
import re
import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fcntl import LOCK_EX, LOCK_NB, flock
from pathlib import Path
from typing import Any

from lib.errors import EvaluationError
from lib.store.writing import sync

#: The files and folders of a generation.
STATE_FILE, REPORT_FILE = "state.json", "report.json"
TABLE, OUTCOMES, REFUSED = "table", "outcomes", "refused"
_CURRENT, _FOLDER, _LOCK = "current", "generations", "lock"
_NAME = re.compile(r"(\d{6,})-[0-9a-f]{8}")

OnStep = Callable[[str], None]


def ignore_step(step: str) -> None:
    """Do nothing when a step is reached."""


class Generations:
    """The generations in an output folder.

    Args:
        root: the output folder.
        on_step: a function that is called with the name of each step that is reached; crash tests
            end the process in it.
    """

    def __init__(self, root: Path, on_step: OnStep = ignore_step) -> None:
        self._root = root
        self._on_step = on_step

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the folder for one run; the lock ends with the process, however that ends.

        Raises:
            EvaluationError: another run holds it, or the folder belongs to something else.
            OSError: the folder cannot be made or written.
        """
        self._root.mkdir(parents=True, exist_ok=True)
        self._refuse_others()
        with (self._root / _LOCK).open("a") as file:
            try:
                flock(file, LOCK_EX | LOCK_NB)
            except BlockingIOError:
                raise EvaluationError(
                    f"--output {self._root}: another evaluation writes there now",
                    hint="wait for its end, or name another folder",
                ) from None
            yield

    @property
    def current(self) -> Path | None:
        """The folder of the current generation; None before the first."""
        link = self._root / _CURRENT
        return link.resolve() if link.is_symlink() else None

    def read_state(self) -> dict[str, Any] | None:
        """Read what the current generation has read; None before the first.

        Raises:
            EvaluationError: the generation is not whole: somebody has removed or changed files.
        """
        current = self.current
        if current is None:
            return None
        path = current / STATE_FILE
        try:
            state: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise EvaluationError(
                f"{path} cannot be read: {error}",
                hint="restore the folder, or name another one to begin anew",
            ) from error
        return state

    def begin(self) -> Path:
        """Remove all but the current generation, and make the folder of the next one."""
        current = self.current
        folder = self._root / _FOLDER
        folder.mkdir(exist_ok=True)
        for path in folder.iterdir():
            if path != current and _NAME.fullmatch(path.name):
                shutil.rmtree(path)
        (self._root / f".{_CURRENT}").unlink(missing_ok=True)
        self._on_step("leftovers removed")
        match = None if current is None else _NAME.fullmatch(current.name)
        number = 1 if match is None else int(match[1]) + 1
        # A killed run's JVM may still write for a moment: no two runs share a folder.
        fresh = folder / f"{number:06d}-{uuid.uuid4().hex[:8]}"
        fresh.mkdir()
        self._on_step("folder made")
        return fresh

    def publish(self, fresh: Path) -> None:
        """Make a whole generation the current one, in one atomic step."""
        for path in sorted(fresh.rglob("*")):
            sync(path)
        sync(fresh)
        self._on_step("files flushed")
        link = self._root / f".{_CURRENT}"
        link.unlink(missing_ok=True)
        link.symlink_to(Path(_FOLDER) / fresh.name)
        self._on_step("link made")
        link.replace(self._root / _CURRENT)
        self._on_step("published")
        sync(self._root)

    def _refuse_others(self) -> None:
        known = {_CURRENT, f".{_CURRENT}", _FOLDER, _LOCK}
        found = sorted(it.name for it in self._root.iterdir() if it.name not in known)
        link = self._root / _CURRENT
        if found or (link.exists() and not link.is_symlink()):
            what = found[0] if found else f"{_CURRENT}, which is no symbolic link"
            raise EvaluationError(
                f"--output {self._root} holds {what}, which no evaluation has written",
                hint="name a new folder, or that of an earlier evaluation as it was",
            )


def write_json(path: Path, value: Any) -> None:
    """Write a value as JSON."""
    path.write_text(json.dumps(value, indent=1, allow_nan=False) + "\n", encoding="utf-8")
