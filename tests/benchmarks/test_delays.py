from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from benchmarks.delays import Latency, compute_latencies, is_away
from benchmarks.latency import compute_batch_ms, find_boundaries_s


def test_the_clock_of_a_record_starts_when_it_was_due() -> None:
    due_s, latencies_s = compute_latencies(
        start_s=100.0, rate=10.0, first=1, arrived_s=[100.1, 100.2, 100.7]
    )

    assert due_s.tolist() == pytest.approx([100.1, 100.2])
    assert latencies_s.tolist() == pytest.approx([0.1, 0.5])


def test_a_record_without_an_answer_has_no_latency() -> None:
    due_s, latencies_s = compute_latencies(
        start_s=100.0, rate=10.0, first=0, arrived_s=[100.1, 0.0, 100.7]
    )

    assert due_s.tolist() == pytest.approx([100.0, 100.2])
    assert latencies_s.tolist() == pytest.approx([0.1, 0.5])


def test_figures_are_milliseconds() -> None:
    latencies_s = np.array([0.010] * 98 + [0.020, 0.500])

    assert Latency.over(latencies_s) == Latency(100, 10.0, 24.8, 452.5, 500.0)


def test_no_records_have_no_figures() -> None:
    assert Latency.over(np.array([])) == Latency(0, None, None, None, None)


def test_a_boundary_takes_the_records_around_it() -> None:
    due_s = np.array([4.4, 4.6, 5.0, 5.9, 6.1])

    assert is_away(due_s, [5.0]).tolist() == [True, False, False, False, True]
    assert is_away(due_s, []).all()


def test_boundaries_are_read_from_the_commit_log(tmp_path: Path) -> None:
    commits = tmp_path / "commits"
    commits.mkdir()
    for name, at_s in (("0", 1_000.0), ("1", 1_005.0), (".0.crc", 1_001.0)):
        (commits / name).touch()
        os.utime(commits / name, (at_s, at_s))

    first, second = find_boundaries_s(tmp_path)

    assert second - first == pytest.approx(5.0)
    assert find_boundaries_s(tmp_path / "absent") == []


def test_a_batch_lasts_from_one_boundary_to_the_next() -> None:
    assert compute_batch_ms([1.0, 1.1, 1.4]) == pytest.approx(200)
    assert compute_batch_ms([1.0]) is None
