"""How many tasks Spark runs at once in one process. ``spark-submit.sh`` asks it at each start."""

from __future__ import annotations

import os
import sys
from math import ceil
from pathlib import Path

# A task that scores in Python has two processes that wait for each other in turn: with one task for
# each core, a quarter of the processor time was idle.
SLOTS_PER_CORE = 2

_CONTROL_GROUPS = Path("/sys/fs/cgroup")


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
    try:
        quota, period = (control_groups / "cpu.max").read_text().split()
    except (OSError, ValueError):
        try:  # version 1 of control groups
            folder = control_groups / "cpu"
            quota = (folder / "cpu.cfs_quota_us").read_text().strip()
            period = (folder / "cpu.cfs_period_us").read_text().strip()
        except OSError:
            return None
    if quota == "max" or int(quota) <= 0:
        return None
    return int(quota) / int(period)


if __name__ == "__main__":
    sys.stdout.write(name_local_master() + "\n")
