"""Runs a job of this project as a process of its own."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from lib.errors import ScoringError
from lib.tools.broker.guarded_folder import GuardedFolder

logger = logging.getLogger(__name__)

# The job finishes its batch first, which takes a second or two.
_STOP_TIMEOUT_S = 30.0
_TAIL_LINES = 15


class Child:
    """A process that runs a command with its output in a file.

    Guarantee: leaving the context ends the process, and everything it has started, with SIGTERM
    and, if that does not end it, with SIGKILL. So does the guard when this process dies. Ctrl-C at
    the terminal does not reach the process.

    Args:
        name: the name of the process in messages.
        command: the program and its arguments.
        log: the file for standard output and error, which is overwritten.
        guard: the folder whose guard kills the process if nobody else does.
    """

    def __init__(self, name: str, command: Sequence[str], log: Path, guard: GuardedFolder) -> None:
        self.name = name
        self.log = log
        self._command = list(command)
        self._guard = guard
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("wb") as output:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._guard.watch(self._process.pid)
        return self

    def __exit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def wait(self) -> None:
        """Wait until the process ends by itself.

        Raises:
            ScoringError: the process failed; the error quotes the end of its output.
        """
        if self._running.wait() != 0:
            raise self._failure()

    def check(self) -> None:
        """Make sure that the process runs.

        Raises:
            ScoringError: the process has ended; the error quotes the end of its output.
        """
        if self._running.poll() is not None:
            raise self._failure()

    def stop(self) -> int:
        """End the process with SIGTERM, then with SIGKILL, and return its exit code."""
        process = self._running
        try:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                process.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            logger.warning("%s ignores SIGTERM, killing it pid=%d", self.name, process.pid)
        finally:
            # Everything that it has started is in its process group.
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            exit_code = process.wait()
            self._guard.watch(None)
        return exit_code

    @property
    def _running(self) -> subprocess.Popen[bytes]:
        assert self._process is not None  # it runs within the context only
        return self._process

    def _failure(self) -> ScoringError:
        lines = self.log.read_text(errors="replace").splitlines()
        errors = [line for line in lines if line.startswith("error: ")]
        tail = errors[-1:] or lines[-_TAIL_LINES:]
        return ScoringError(
            f"{self.name} ended with exit code {self._running.returncode}: " + "\n".join(tail),
            hint=f"all it said is in {self.log}",
        )
