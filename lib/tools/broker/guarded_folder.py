"""A temporary folder that is removed even when this process is killed."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import IO

from lib.tools.broker import guard


class GuardedFolder:
    """A temporary folder and the processes in it; a guard process cleans up all of them.

    Guarantees: after ``remove``, and after any end of this process, the processes that ``watch``
    has named are killed and the folder is removed (see ``lib.tools.broker.guard``).
    """

    def __init__(self, path: Path, process: subprocess.Popen[str]) -> None:
        self.path = path
        self._guard = process

    @classmethod
    def create(cls, prefix: str) -> GuardedFolder:
        """Make the folder and start its guard."""
        path = Path(tempfile.mkdtemp(prefix=prefix))
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", guard.__file__, str(path)],
            stdin=subprocess.PIPE,
            text=True,
            # In its own session the guard gets no Ctrl-C from the terminal.
            start_new_session=True,
        )
        return cls(path, process)

    def watch(self, pid: int | None, name: str = "process") -> None:
        """Name a process to be killed with the folder, in place of the last one of that name.

        Args:
            pid: the process id; None when the process has ended.
            name: one word that tells the process from others in the folder.
        """
        # If somebody has killed the guard, this process still cleans up itself.
        with suppress(BrokenPipeError):
            self._pipe.write(f"{name} {pid or 0}\n")
            self._pipe.flush()

    def remove(self) -> None:
        """Let the guard remove the folder, as after a crash, and end."""
        with suppress(BrokenPipeError):
            self._pipe.close()
        self._guard.wait()

    @property
    def _pipe(self) -> IO[str]:
        assert self._guard.stdin is not None  # it was started with a pipe
        return self._guard.stdin
