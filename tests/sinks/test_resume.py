"""The start-up table, row by row. See docs/adr/0001-exactly-once-sink.md."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.errors import ResumeRefusedError
from lib.sinks.resume import CheckpointPosition, GroupPosition, ResumePlan, decide_resume

EARLIEST = {0: 10, 1: 20}
LATEST = {0: 100, 1: 200}


def decide(
    checkpoint: CheckpointPosition | None,
    committed: dict[int, int | None],
    configured: dict[int, int] | None = None,
) -> ResumePlan:
    earliest = {partition: EARLIEST.get(partition, 0) for partition in committed}
    latest = dict.fromkeys(committed, 1_000) | LATEST
    group = GroupPosition(committed, earliest, latest, configured or earliest)
    return decide_resume(checkpoint, group, topic="in", group_id="query")


def at(start: dict[int, int], *, complete: bool = True, batch: int = 7) -> CheckpointPosition:
    return CheckpointPosition(batch, start, complete)


def test_no_checkpoint_and_no_group_starts_at_the_configured_position_and_seeds_it() -> None:
    plan = decide(None, {0: None, 1: None}, configured=LATEST)

    assert plan.starting_offsets == LATEST
    assert plan.seed == LATEST


def test_no_checkpoint_resumes_at_the_groups_offsets() -> None:
    plan = decide(None, {0: 50, 1: 60}, configured=LATEST)

    assert plan.starting_offsets == {0: 50, 1: 60}
    assert plan.seed == {}


def test_a_partition_that_the_group_never_saw_starts_at_its_oldest_record() -> None:
    plan = decide(None, {0: 50, 1: 60, 2: None}, configured={0: 100, 1: 200, 2: 300})

    assert plan.starting_offsets == {0: 50, 1: 60, 2: 0}
    assert plan.seed == {2: 0}


def test_no_checkpoint_and_records_deleted_by_retention_is_refused() -> None:
    with pytest.raises(ResumeRefusedError, match=r"in\[0\]@4.*@10: 6 offsets were deleted"):
        decide(None, {0: 4, 1: 60})


@pytest.mark.parametrize("complete", [True, False])
@pytest.mark.parametrize("committed", [{0: 50, 1: 60}, {0: 55, 1: 60}])
def test_checkpoint_runs_when_the_group_is_at_or_past_its_start(
    complete: bool, committed: dict[int, int | None]
) -> None:
    plan = decide(at({0: 50, 1: 60}, complete=complete), committed)

    assert plan == ResumePlan("the checkpoint")


def test_checkpoint_is_refused_when_the_group_is_behind() -> None:
    with pytest.raises(ResumeRefusedError) as refusal:
        decide(at({0: 50, 1: 60}), {0: 50, 1: 59})

    message = str(refusal.value)
    assert "in[1]@59" in message
    assert "batch 7 starts @60: 1 offsets would never be scored" in message
    assert "remove the checkpoint" in message


def test_checkpoint_known_to_be_complete_seeds_a_group_without_offsets() -> None:
    plan = decide(at({0: 50, 1: 60}), {0: None, 1: None})

    assert plan.starting_offsets is None
    assert plan.seed == {0: 50, 1: 60}


def test_checkpoint_seeds_only_the_partitions_whose_offsets_expired() -> None:
    assert decide(at({0: 50, 1: 60}), {0: 50, 1: None}).seed == {1: 60}


def test_checkpoint_with_an_open_batch_and_no_offsets_is_refused_by_name() -> None:
    with pytest.raises(ResumeRefusedError, match=r"in\[1\], and batch 7 .*reset-offsets"):
        decide(at({0: 50, 1: 60}, complete=False), {0: 50, 1: None})


def test_a_topic_that_ends_before_the_checkpoint_is_not_the_topic_that_was_read() -> None:
    reason = r"batch 7 starts at in\[0\]@101, past the last stable offset @100: .* was recreated"
    with pytest.raises(ResumeRefusedError, match=reason):
        decide(at({0: 101, 1: 60}), {0: None, 1: None})


@pytest.mark.parametrize("checkpoint", [None, at({0: 50, 1: 60})])
def test_a_committed_offset_past_the_last_stable_one_is_refused(
    checkpoint: CheckpointPosition | None,
) -> None:
    reason = (
        r"group query committed in\[0\]@101, past the last stable offset @100: a transaction on the"
        r" topic is still open below it, .*wait until the producer of that transaction has ended it"
    )
    with pytest.raises(ResumeRefusedError, match=reason):
        decide(checkpoint, {0: 101, 1: 60})
    decide(checkpoint, {0: 100, 1: 60})


def test_a_partition_that_the_checkpoint_never_saw_is_claimed_at_its_oldest_record() -> None:
    plan = decide(at({0: 50}, complete=False), {0: 50, 1: None})

    assert plan == ResumePlan("the checkpoint", seed={1: 20})


OFFSETS = st.none() | st.integers(0, 100)


@given(
    st.dictionaries(st.integers(0, 3), st.integers(0, 100)) | st.none(),
    st.fixed_dictionaries(dict.fromkeys(range(4), OFFSETS)),
    st.booleans(),
)
def test_nothing_is_lost_whatever_the_state(
    start: dict[int, int] | None, committed: dict[int, int | None], complete: bool
) -> None:
    checkpoint = None if start is None else CheckpointPosition(3, start, complete)
    zeros, latest = dict.fromkeys(committed, 0), dict.fromkeys(committed, 80)
    group = GroupPosition(committed, zeros, latest, zeros)
    try:
        plan = decide_resume(checkpoint, group, topic="in", group_id="query")
    except ResumeRefusedError:
        return

    begins = plan.starting_offsets if start is None else start
    assert begins is not None
    for partition, first in begins.items():
        done = committed[partition]
        done = plan.seed.get(partition, 0) if done is None else done
        assert first <= done, "records between what is done and where Spark begins would be lost"
        assert start is None or first <= latest[partition], "this is not the topic that was read"


def test_a_query_cannot_leave_out_partitions_of_its_checkpoint() -> None:
    """The topic has them still: it is not one that was made anew."""
    group = GroupPosition({0: 50}, {0: 10}, LATEST, {0: 10})

    with pytest.raises(ResumeRefusedError, match=r"reads the partitions \[1\] of in too"):
        decide_resume(at({0: 50, 1: 60}), group, topic="in", group_id="query")
