"""Count the threads that a block of code takes."""

from __future__ import annotations

from pathlib import Path

from lib.background import Background

_COUNT_EVERY_S = 0.01


class ThreadCount(Background):
    """A counter of this process's threads while a ``with`` block lasts.

    Attributes:
        most: the highest number of threads at once beyond those before the block; the thread that
            counts is one of them.
    """

    def __init__(self) -> None:
        super().__init__("thread count")
        self.most = 0
        self._before = _count_threads()

    def _run(self) -> None:
        while not self._stopped.wait(_COUNT_EVERY_S):
            self.most = max(self.most, _count_threads() - self._before)


def _count_threads() -> int:
    return sum(1 for _ in Path("/proc/self/task").iterdir())
