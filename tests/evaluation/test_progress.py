"""The next range follows from the position, and nothing is passed over in silence."""

from __future__ import annotations

import pytest

from lib.errors import EvaluationError
from lib.evaluation.progress import (
    FilePosition,
    FileRange,
    TopicPosition,
    TopicRange,
    TopicView,
    plan_files,
    plan_topic,
    read_position,
)

READ = TopicPosition("t", "id", {0: 50, 1: 60})


def view(
    earliest: dict[int, int] | None = None,
    stable: dict[int, int] | None = None,
    identity: str = "id",
) -> TopicView:
    return TopicView("t", identity, earliest or {0: 0, 1: 0}, stable or {0: 100, 1: 100})


def test_the_first_run_reads_from_the_oldest_record_to_what_is_stable() -> None:
    found, position = plan_topic(view({0: 5, 1: 0}), None, accept_gone=False)

    assert found == TopicRange("t", {0: 5, 1: 0}, {0: 100, 1: 100})
    assert position == TopicPosition("t", "id", {0: 100, 1: 100})


def test_the_next_run_goes_on_and_begins_new_partitions() -> None:
    seen = view({0: 50, 1: 0, 2: 0}, {0: 100, 1: 60, 2: 7})

    found, position = plan_topic(seen, READ, accept_gone=False)

    assert found == TopicRange("t", {0: 50, 1: 60, 2: 0}, {0: 100, 1: 60, 2: 7})
    assert position.offsets == {0: 100, 1: 60, 2: 7}


def test_nothing_new_is_an_empty_range() -> None:
    assert plan_topic(view(stable={0: 50, 1: 60}), READ, accept_gone=False)[0].is_empty


@pytest.mark.parametrize(
    ("seen", "message"),
    [
        (
            view({0: 70, 1: 0}),
            "t[0]@50 was to be read next, and the oldest record is @70: 20 offsets were deleted"
            " before they were read",
        ),
        (view(identity="other"), "topic t was recreated: found the id other, expected id"),
        (
            view(stable={0: 49, 1: 100}),
            "t[0] has lost records: found an end @49, read up to @50",
        ),
        (
            view({0: 0}, {0: 100}),
            "t[1] has lost records: found no such partition, read up to @60",
        ),
    ],
)
def test_what_is_gone_is_refused_with_the_way_out(seen: TopicView, message: str) -> None:
    with pytest.raises(EvaluationError) as refused:
        plan_topic(seen, READ, accept_gone=False)

    assert refused.value.message == message
    assert "--accept-gone keeps the table as it is" in str(refused.value.hint)
    plan_topic(seen, READ, accept_gone=True)


def test_what_is_gone_is_counted_when_it_is_accepted() -> None:
    found, _ = plan_topic(view({0: 70, 1: 0}), READ, accept_gone=True)

    assert found == TopicRange("t", {0: 70, 1: 60}, {0: 100, 1: 100}, gone=20)


def test_a_recreated_topic_is_read_from_its_beginning_when_that_is_accepted() -> None:
    found, position = plan_topic(view(identity="other"), READ, accept_gone=True)

    assert found.start == {0: 0, 1: 0}
    assert position.identity == "other"


def test_another_source_is_refused() -> None:
    files = FilePosition({"a": (1, 2)})
    for read in (files, TopicPosition("other", "id", {})):
        with pytest.raises(EvaluationError, match="which --output has read so far"):
            plan_topic(view(), read, accept_gone=True)
    with pytest.raises(EvaluationError, match="expected topic t"):
        plan_files("--files", {}, READ, accept_gone=True, may_go=True)


def test_new_files_are_read_once() -> None:
    read = FilePosition({"a": (1, 2)})

    found, position = plan_files(
        "--files", {"a": (1, 2), "c": (5, 6), "b": (3, 4)}, read, accept_gone=False, may_go=False
    )

    assert found == FileRange(("b", "c"))
    assert position == FilePosition({"a": (1, 2), "b": (3, 4), "c": (5, 6)})


def test_changed_and_missing_files_are_refused_unless_that_is_accepted() -> None:
    read = FilePosition({"a": (1, 2), "b": (3, 4)})

    with pytest.raises(EvaluationError, match="--files: a was read before, and has changed since"):
        plan_files("--files", {"a": (1, 3), "b": (3, 4)}, read, accept_gone=False, may_go=True)
    with pytest.raises(EvaluationError, match="--files: b was read before, and is gone"):
        plan_files("--files", {"a": (1, 2)}, read, accept_gone=False, may_go=False)
    found, position = plan_files("--files", {"a": (1, 3)}, read, accept_gone=True, may_go=False)
    assert (found, position) == (FileRange((), gone=1), FilePosition({"a": (1, 3)}))
    found, _ = plan_files("--files", {"a": (1, 2)}, read, accept_gone=False, may_go=True)
    assert found == FileRange((), gone=1)


@pytest.mark.parametrize("position", [READ, FilePosition({"a": (1, 2)})])
def test_a_position_is_read_as_it_was_written(position: TopicPosition | FilePosition) -> None:
    assert read_position(position.to_json()) == position
    assert read_position(None) is None
