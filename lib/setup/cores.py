"""Counts the cores that this process may use."""

from __future__ import annotations

import os
from contextlib import suppress
from math import ceil
from pathlib import Path

_CONTROL_GROUPS = Path("/sys/fs/cgroup")
# The files of quota and period in both versions of control groups.
_QUOTA_FILES = (("cpu.max",), ("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us"))


def count_cores(control_groups: Path = _CONTROL_GROUPS) -> int:
    """Count the cores that this process may use: at least 1, at most a container's quota.

    Args:
        control_groups: the folder where Linux has the quotas; other systems have none.
    """
    affinity = getattr(os, "sched_getaffinity", None)
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    quota = _read_quota(control_groups)
    return cores if quota is None else max(1, min(cores, ceil(quota)))


def _read_quota(control_groups: Path) -> float | None:
    """Read the quota of processor time in cores; None if there is no limit."""
    for names in _QUOTA_FILES:
        with suppress(OSError, ValueError):  # the file does not exist, or says "max"
            quota, period = " ".join((control_groups / it).read_text() for it in names).split()
            return int(quota) / int(period) if int(quota) > 0 else None
    return None
