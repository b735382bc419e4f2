"""When a Python worker of Spark looks for garbage.

After each task Spark lets the worker collect its garbage, all of it: with pandas, pyarrow and a
model loaded that is 40 ms, however small the task. And while a batch is scored, its rows, which are
many and hold no cycles, make Python look again and again.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache


@contextmanager
def pause_collection() -> Iterator[None]:
    """Look for no cycles meanwhile; what is no part of one is freed as always."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


@cache
def exempt_what_is_loaded() -> None:
    """Leave what the process holds now, modules and models, out of all later collections.

    Once a process: to do it after each task would keep the cycles of each task for good.
    """
    gc.collect()
    gc.freeze()
