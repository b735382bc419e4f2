"""The memory that a job may use is that of its container, and is compared with what it needs."""

from __future__ import annotations

from pathlib import Path

import pytest

from lib.setup.memory import MemoryLimit, find_memory_limit, judge_memory, parse_java_size

GIB = 1024**3


@pytest.mark.parametrize(
    ("own", "files"),
    [
        ("0::/\n", {"memory.max": "1073741824\n"}),
        # A unit of systemd: its own group has no limit, the slice above it has one.
        (
            "0::/system.slice/churn.service\n",
            {
                "system.slice/churn.service/memory.max": "max\n",
                "system.slice/memory.max": "1073741824",
            },
        ),
        # A container sees its own group as the root.
        ("0::/kubepods/pod1/abc\n", {"memory.max": "1073741824\n"}),
        (
            "9:cpu,cpuacct:/a\n7:memory:/docker/abc\n",
            {
                "memory/docker/abc/memory.limit_in_bytes": "1073741824",
                "memory/memory.limit_in_bytes": "9223372036854771712",
            },
        ),
    ],
)
def test_the_smallest_limit_above_the_process_counts(
    own: str, files: dict[str, str], tmp_path: Path
) -> None:
    groups, own_groups = tmp_path / "groups", tmp_path / "cgroup"
    own_groups.write_text(own)
    for name, text in files.items():
        (groups / name).parent.mkdir(parents=True, exist_ok=True)
        (groups / name).write_text(text)

    assert find_memory_limit(groups, own_groups) == MemoryLimit(
        1_073_741_824, "its control group allows"
    )


def test_without_a_limit_the_memory_is_that_of_the_machine(tmp_path: Path) -> None:
    found = find_memory_limit(tmp_path, tmp_path / "cgroup")

    assert found.source == "the machine has"
    assert found.size > 256 * 1024**2


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("2g", 2_147_483_648),
        ("512m", 536_870_912),
        ("1536", 1_610_612_736),
        ("4096k", 4_194_304),
        ("1GB", 1_073_741_824),
        ("100b", 100),
    ],
)
def test_sizes_are_read_as_spark_reads_them(text: str, size: int) -> None:
    assert parse_java_size(text) == size


@pytest.mark.parametrize(
    ("gib", "heap_gib", "cores", "severity", "expected"),
    [
        (4.0, 2, 2, "OK", "4.0 GiB, for a heap of 2.0 GiB, and Python workers on 2 cores"),
        (3.9, 2, 2, "WARNING", "4.0 GiB, for a heap of 2.0 GiB, and Python workers on 2 cores"),
        (5.2, 2, 8, "OK", "5.2 GiB, for a heap of 2.0 GiB, and Python workers on 8 cores"),
        (4.0, 4, 2, "ERROR", "6.0 GiB, for a heap of 4.0 GiB, and Python workers on 2 cores"),
    ],
)
def test_heap_and_workers_have_to_fit(
    gib: float, heap_gib: int, cores: int, severity: str, expected: str
) -> None:
    limit = MemoryLimit(round(gib * GIB), "its control group allows")

    found = judge_memory(limit, heap=heap_gib * GIB, cores=cores)

    assert (found.severity.name, found.expected) == (severity, expected)
