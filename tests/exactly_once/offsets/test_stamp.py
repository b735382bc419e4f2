from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.exactly_once.offsets.stamp import (
    Author,
    Committer,
    Lease,
    Stamp,
    has_committed,
    is_signed_by,
    make_run_id,
)

NAMES = st.text(st.characters(exclude_characters="/", exclude_categories=["Cs"]))


@given(NAMES, NAMES, st.integers(-1, 10**9), NAMES, st.sampled_from(Committer))
def test_a_stamp_reads_back_as_it_was_written(
    query: str, run: str, batch: int, topic: str, committer: Committer
) -> None:
    stamp = Author(run, topic, committer, lease_s=30).sign(query, batch)

    assert stamp.lease is not None
    assert Stamp.from_metadata(stamp.to_metadata()) == stamp


def test_the_text_is_stable_because_offsets_outlive_releases() -> None:
    stamp = Stamp("query", "host:7:ab", 3, "topic", Committer.EXECUTOR)

    assert stamp.to_metadata() == "v2/query/host:7:ab/3/topic/executor"


def test_a_lease_stands_behind_the_run_where_former_releases_see_a_part_of_its_name() -> None:
    stamp = Stamp("query", "host:7:ab", 3, "topic", Committer.DRIVER, Lease(1_700_000_000, 30))

    assert stamp.to_metadata() == "v2/query/host:7:ab@1700000000+30/3/topic/driver"
    assert is_signed_by(stamp.to_metadata(), "host:7:ab")
    assert not is_signed_by(stamp.to_metadata(), "host:7:abc")


def test_a_stamp_of_a_former_release_has_no_lease_and_tells_its_tasks() -> None:
    by_driver = Stamp.from_metadata("v2/query/host:7:ab/3/topic/driver")
    by_task = Stamp.from_metadata("v2/query/host:7:ab/3/topic/executor")
    assert by_driver is not None
    assert by_task is not None

    assert (by_driver.lease, by_task.lease) == (None, None)
    assert by_task.is_by_task_of_former_release
    assert not by_driver.is_by_task_of_former_release
    assert not replace(by_task, lease=Lease(0, 0)).is_by_task_of_former_release


def test_each_run_has_an_id_of_its_own() -> None:
    assert make_run_id() != make_run_id()
    assert "/" not in make_run_id()


@pytest.mark.parametrize(
    "metadata",
    [None, "", "v2", "v1/q/r/1", "v2/q/r/x/t/driver", "v2/q/r/1/t/nobody", "v2/q/r/1/t", "hello"],
)
def test_foreign_metadata_is_no_stamp(metadata: str | None) -> None:
    assert Stamp.from_metadata(metadata) is None


@pytest.mark.parametrize(
    ("stamps", "expected"),
    [
        ({}, False),
        ({0: None, 1: "", 2: "by hand"}, False),
        ({0: "v2/query/host:7:ab/3/topic/driver"}, False),
        ({0: "v2/query/host:7:ab/3/topic/driver", 1: "v2/query/host:8:cd/4/topic/executor"}, True),
    ],
)
def test_one_partition_tells_that_tasks_have_committed(
    stamps: dict[int, str | None], expected: bool
) -> None:
    assert has_committed(Committer.EXECUTOR, stamps) is expected
