"""How many tasks Spark runs at once in one process. ``spark-submit.sh`` asks it at each start."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from math import ceil
from pathlib import Path

# A task that scores in Python has two processes that wait for each other in turn: with one task for
# each core, a quarter of the processor time was idle.
SLOTS_PER_CORE = 2

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


def _read_quota(control_groups: Path) -> float | None:
    """Cores' worth of time; None where there is no limit."""
    for names in _QUOTA_FILES:
        with suppress(OSError, ValueError):  # there is none, or it says "max"
            quota, period = " ".join((control_groups / it).read_text() for it in names).split()
            return int(quota) / int(period) if int(quota) > 0 else None
    return None


if __name__ == "__main__":
    sys.stdout.write(name_local_master() + "\n")
