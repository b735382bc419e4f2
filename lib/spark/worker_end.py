"""Lets a Python worker of Spark end without a traceback when Spark closes its connection.

Spark ends its workers, idle ones and those that a stop interrupts, by closing their connection. A
worker then tries to report the error over that connection. Over TCP it does not notice that nobody
reads; over a Unix socket the write fails at once, and each worker leaves a traceback in the log of
a job that has ended well.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager

# It is not empty within a block, which the signal's handler cannot tell.
_WITHIN: list[bool] = []


@contextmanager
def raise_broken_pipes() -> Iterator[None]:
    """Let a write to a closed connection raise within the block, for a model's own connections.

    After the block, when the worker writes to Spark, such a write ends the process, like a filter
    in a pipe. This does nothing outside of Spark's workers, or within another such block.
    """
    from pyspark import TaskContext  # imported here: only workers need Spark

    if TaskContext.get() is None or _WITHIN:
        yield
        return
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    _WITHIN.append(True)
    try:
        yield
    finally:
        _WITHIN.clear()
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
