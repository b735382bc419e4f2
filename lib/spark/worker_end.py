"""How a Python worker of Spark ends: without a word, once Spark does not listen any more.

Spark ends its workers, idle ones and those that a stop interrupts, by closing their connection. A
worker would tell Spark about it, over that connection. Over TCP it does not notice that nobody
reads; over a Unix socket that fails at once, and each leaves a traceback in the log of a job that
has ended well.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager

# Not empty within. The signal itself does not tell: Python ignores it from its start.
_WITHIN: list[bool] = []


@contextmanager
def raise_broken_pipes() -> Iterator[None]:
    """Within, a write to a closed connection raises, as always in Python: a model may have its own.

    Afterwards, when the worker writes to Spark or waits for it, such a write ends the process, as
    it ends any filter in a pipe. Does nothing outside of Spark's workers, or within itself.
    """
    from pyspark import TaskContext  # this late, so that who has no worker needs no Spark

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
