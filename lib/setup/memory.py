"""Finds how much memory the job may use, and compares it with what the job needs."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from lib.findings import Finding, Severity

GIB = 1024**3
_CONTROL_GROUPS = Path("/sys/fs/cgroup")
_OWN_GROUPS = Path("/proc/self/cgroup")
# Version 1 of control groups writes about 2^63 where there is no limit.
_NO_LIMIT = 1 << 60
# docs/measured.md#memory: all processes on 2 cores, beyond a heap of 2 GiB, and each further core.
_BESIDE_HEAP = 2 * GIB
_EACH_FURTHER_CORE = GIB // 5
_JAVA_SIZE = re.compile(r"(\d+)([bkmgt]?)b?", re.IGNORECASE)
_UNITS = {"": 1024**2, "b": 1, "k": 1024, "m": 1024**2, "g": GIB, "t": 1024 * GIB}


@dataclass(frozen=True)
class MemoryLimit:
    """The memory that this process and its children may use.

    Attributes:
        size: the number of bytes.
        source: a phrase that says whose limit it is, before the number.
    """

    size: int
    source: str


def find_memory_limit(
    control_groups: Path = _CONTROL_GROUPS, own_groups: Path = _OWN_GROUPS
) -> MemoryLimit:
    """Find the memory of the machine, or the limit of a container or a unit if that is smaller.

    Args:
        control_groups: the folder where Linux has the limits; other systems have none.
        own_groups: the file that names this process's groups.
    """
    machine = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    limits = list(_iter_limits(control_groups, own_groups))
    if limits and min(limits) < machine:
        return MemoryLimit(min(limits), "its control group allows")
    return MemoryLimit(machine, "the machine has")


def _iter_limits(control_groups: Path, own_groups: Path) -> Iterator[int]:
    """Yield the limits of the process's groups and of all above them."""
    places = [(control_groups, "memory.max"), (control_groups / "memory", "memory.limit_in_bytes")]
    with suppress(OSError):
        for line in own_groups.read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            root, name = places[0] if not controllers else places[1]
            if not controllers or "memory" in controllers.split(","):
                group = root / path.lstrip("/")
                # A container sees its own group as the root, whatever the path says.
                above = [it for it in group.parents if it.is_relative_to(root)]
                places += [(it, name) for it in (group, *above)]
    for folder, name in dict.fromkeys(places):
        with suppress(OSError, ValueError):  # the file does not exist, or says "max"
            limit = int((folder / name).read_text())
            if limit < _NO_LIMIT:
                yield limit


def parse_java_size(text: str) -> int:
    """Parse a size in Spark's form, such as ``2g`` or ``512m``, to bytes; MiB without a unit.

    Raises:
        ValueError: the text has no such form.
    """
    match = _JAVA_SIZE.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"expected a size like 2g or 512m, found {text!r}")
    return int(match[1]) * _UNITS[match[2].lower()]


def judge_memory(limit: MemoryLimit, *, heap: int, cores: int) -> Finding:
    """Compare the memory with what JVM and Python workers of a local master need. Pure.

    Args:
        limit: the memory that there is.
        heap: the largest heap of the JVM, in bytes.
        cores: the number of cores that the job uses.
    """
    needed = heap + _BESIDE_HEAP + _EACH_FURTHER_CORE * max(0, cores - 2)
    check, found = "memory", f"{limit.source} {_spell(limit.size)}"
    expected = (
        f"{_spell(needed)}, for a heap of {_spell(heap)}, and Python workers on {cores} cores"
    )
    if limit.size >= needed:
        return Finding.ok(check, found, expected)
    is_hopeless = limit.size <= heap
    return Finding(
        *(Severity.ERROR if is_hopeless else Severity.WARNING, check, found, expected),
        f"{limit.source} {_spell(limit.size)}, and the job may use {_spell(needed)}: the kernel"
        " kills it, with exit code 137",
        "give the container more memory, or the JVM less with --conf spark.driver.memory=…",
    )


def _spell(size: int) -> str:
    return f"{size / GIB:.1f} GiB"
