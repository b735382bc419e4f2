"""Controls when a Python worker of Spark collects garbage.

After each task Spark lets the worker collect all its garbage, which takes 40 ms with pandas,
pyarrow and a model loaded, however small the task is. And while a batch is scored, its many rows
make Python look for cycles again and again, although they hold none.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache


@contextmanager
def pause_collection() -> Iterator[None]:
    """Pause the search for cycles within the block; other objects are freed as always."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


@cache
def exempt_what_is_loaded() -> None:
    """Leave the present objects, modules and models, out of all later collections.

    This happens once in a process: after each task it would keep the task's cycles for ever.
    """
    gc.collect()
    gc.freeze()
