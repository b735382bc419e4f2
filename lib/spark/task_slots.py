"""How many tasks Spark runs at once. ``spark-submit.sh`` asks it at each start, for one process.

Imports without PySpark.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from contextlib import suppress
from functools import lru_cache
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pyspark import SparkContext

# A task that scores in Python has two processes that wait for each other in turn: with one task for
# each core, a quarter of the processor time was idle.
SLOTS_PER_CORE = 2

_LOCAL = re.compile(r"local(?:\[(\d+|\*)(?:,\d+)?\])?")
_LOCAL_CLUSTER = re.compile(r"local-cluster\[(\d+),(\d+),\d+\]")

_CONTROL_GROUPS = Path("/sys/fs/cgroup")
# Quota and period, in both versions of control groups.
_QUOTA_FILES = (("cpu.max",), ("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us"))


def count_cores(control_groups: Path = _CONTROL_GROUPS) -> int:
    """Cores that this process may use: at least 1, and no more than a container's quota.

    Args:
        control_groups: where Linux tells of quotas; missing elsewhere.
    """
    affinity = getattr(os, "sched_getaffinity", None)
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    quota = _read_quota(control_groups)
    return cores if quota is None else max(1, min(cores, ceil(quota)))


def name_local_master() -> str:
    """Spark's name for a master in this process, like ``local[4]``."""
    return f"local[{count_cores() * SLOTS_PER_CORE}]"


def count_slots(conf: Mapping[str, str], cores: int) -> int | None:
    """How many tasks Spark runs at once; None where that is not fixed before the start.

    Args:
        conf: of the Spark application.
        cores: of this machine, for ``local[*]``.
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
    """The same of a running application; kept, for to ask its JVM takes tens of milliseconds."""
    jvm: Any = context._jvm
    cores = int(jvm.java.lang.Runtime.getRuntime().availableProcessors())
    return count_slots(dict(context.getConf().getAll()), cores)


def _read_quota(control_groups: Path) -> float | None:
    """Cores' worth of time; None where there is no limit."""
    for names in _QUOTA_FILES:
        with suppress(OSError, ValueError):  # there is none, or it says "max"
            quota, period = " ".join((control_groups / it).read_text() for it in names).split()
            return int(quota) / int(period) if int(quota) > 0 else None
    return None


if __name__ == "__main__":
    sys.stdout.write(name_local_master() + "\n")
