"""Computes how many tasks Spark runs at once. It imports without PySpark."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pyspark import SparkContext

_LOCAL = re.compile(r"local(?:\[(\d+|\*)(?:,\d+)?\])?")
_LOCAL_CLUSTER = re.compile(r"local-cluster\[(\d+),(\d+),\d+\]")


def count_slots(conf: Mapping[str, str], cores: int) -> int | None:
    """Compute how many tasks Spark runs at once; None if that is not fixed before the start.

    Args:
        conf: the configuration of the Spark application.
        cores: the number of this machine's cores, for ``local[*]``.
    """
    master = conf.get("spark.master", "local[*]")
    total: int | None = None
    if match := _LOCAL.fullmatch(master):
        total = cores if match[1] == "*" else int(match[1] or 1)
    elif match := _LOCAL_CLUSTER.fullmatch(master):
        total = int(match[1]) * int(match[2])
    elif conf.get("spark.dynamicAllocation.enabled", "false") != "true":
        executors = conf.get("spark.executor.instances"), conf.get("spark.executor.cores")
        if executors[0] is not None and executors[1] is not None:
            total = int(executors[0]) * int(executors[1])
    return None if total is None else total // int(conf.get("spark.task.cpus", "1"))


@lru_cache(maxsize=1)
def find_slots(context: SparkContext) -> int | None:
    """Count the slots of a running application once: its JVM takes tens of milliseconds."""
    jvm: Any = context._jvm
    cores = int(jvm.java.lang.Runtime.getRuntime().availableProcessors())
    return count_slots(dict(context.getConf().getAll()), cores)
