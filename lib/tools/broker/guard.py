"""Cleans up after embedded brokers whose owner was killed (``kill -9``).

The owner starts this as a process of its own and holds the other end of its standard input. It
writes a line for each process that it starts, a name and a pid, and another one with the same name
when that process was replaced. When the pipe ends, because the owner has closed it or has ended,
the guard kills the last process of each name and removes the folder.

It is a pipe because Linux's ``PR_SET_PDEATHSIG`` follows the *thread* that started the broker,
removes no folders, and does not exist on macOS. The guard needs the standard library only: it is
run with ``-I -S`` and starts in about 20 ms.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
from contextlib import suppress


def stand_guard(folder: str) -> None:
    """Wait for the end of standard input, then kill the named processes and remove the folder."""
    processes: dict[str, GuardedProcess] = {}
    for line in sys.stdin:
        name, pid = line.split()
        processes.setdefault(name, GuardedProcess()).replace(int(pid))
    for process in processes.values():
        process.kill()
    shutil.rmtree(folder, ignore_errors=True)


class GuardedProcess:
    """A process, held by a pidfd where there are such: the system may reuse a pid."""

    def __init__(self) -> None:
        self._pid: int | None = None
        self._pidfd: int | None = None

    def replace(self, pid: int) -> None:
        """Hold this process instead of the one before; 0 means none."""
        if self._pidfd is not None:
            os.close(self._pidfd)
        self._pid, self._pidfd = None, None
        if pid == 0:
            return
        if hasattr(os, "pidfd_open"):
            with suppress(ProcessLookupError):
                self._pidfd = os.pidfd_open(pid)
        else:
            self._pid = pid

    def kill(self) -> None:
        """Kill the process if it still runs."""
        with suppress(ProcessLookupError):
            if self._pidfd is not None:
                signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)
            elif self._pid is not None:
                os.kill(self._pid, signal.SIGKILL)


if __name__ == "__main__":
    stand_guard(sys.argv[1])
