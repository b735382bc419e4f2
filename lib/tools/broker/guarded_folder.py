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
    """A temporary folder and the processes in it; a guard outlives us to clear up all of them.

    Guarantees: after ``remove``, or after the end of this process for whatever reason, what was
    named last by ``watch`` has been killed and the folder is gone (see ``lib.tools.broker.guard``).
    """

    def __init__(self, path: Path, process: subprocess.Popen[str]) -> None:
        self.path = path
        self._guard = process

    @classmethod
    def create(cls, prefix: str) -> GuardedFolder:
        """Make the folder and post the guard, before there is anything to guard."""
        path = Path(tempfile.mkdtemp(prefix=prefix))
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", guard.__file__, str(path)],
            stdin=subprocess.PIPE,
            text=True,
            # Ctrl-C at the terminal is meant for us, not for the guard.
            start_new_session=True,
        )
        return cls(path, process)

    def watch(self, pid: int | None, name: str = "process") -> None:
        """Name a process to be killed with the folder, in place of the last one of that name.

        Args:
            pid: of the process; None when there is none any more.
            name: one word, that tells it from other processes in the folder.
        """
        # A guard that somebody killed is no reason to fail: it is the second line of defence.
        with suppress(BrokenPipeError):
            self._pipe.write(f"{name} {pid or 0}\n")
            self._pipe.flush()

    def remove(self) -> None:
        """Dismiss the guard, which removes the folder just as after a crash."""
        with suppress(BrokenPipeError):
            self._pipe.close()
        self._guard.wait()

    @property
    def _pipe(self) -> IO[str]:
        assert self._guard.stdin is not None  # it was started with a pipe
        return self._guard.stdin
