"""The start-up table is tested row by row. See docs/refused_starts.md."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.errors import ResumeRefusedError
from lib.exactly_once.offsets.range_end import RangeEnd
from lib.exactly_once.offsets.resume import (
    CheckpointDamage,
    CheckpointFinding,
    CheckpointPosition,
    GroupPosition,
    ResumePlan,
    decide_resume,
)

EARLIEST = {0: 10, 1: 20}
LATEST = {0: 100, 1: 200}


def decide(
    checkpoint: CheckpointFinding,
    committed: dict[int, int | None],
    configured: dict[int, int] | None = None,
    distrust: str | None = None,
    chosen: tuple[int, ...] = (),
    end: RangeEnd | None = None,
) -> ResumePlan:
    earliest = {partition: EARLIEST.get(partition, 0) for partition in committed}
    latest = dict.fromkeys(committed, 1_000) | LATEST
    group = GroupPosition(committed, earliest, latest, configured or earliest, frozenset(chosen))
    return decide_resume(
        checkpoint, group, topic="in", group_id="query", distrust=distrust, end=end
    )


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


@pytest.mark.parametrize("complete", [True, False])
def test_a_position_that_a_person_has_set_back_costs_the_checkpoint_only(complete: bool) -> None:
    checkpoint = at({0: 50, 1: 60}, complete=complete)

    plan = decide(checkpoint, {0: 50, 1: 40}, chosen=(1,))

    assert plan.starting_offsets == {0: 50, 1: 40}
    assert plan.set_aside == "jobs/offsets.py has set in[1]@40, and batch 7 starts @60"
    # One that is set forward costs nothing: the sink leaves out what was committed.
    assert decide(checkpoint, {0: 55, 1: 60}, chosen=(0,)) == ResumePlan("the checkpoint")
    # Another partition that somebody else has moved is refused as ever.
    with pytest.raises(ResumeRefusedError, match=r"in\[0\]@49"):
        decide(checkpoint, {0: 49, 1: 40}, chosen=(1,))


def test_checkpoint_known_to_be_complete_seeds_a_group_without_offsets() -> None:
    plan = decide(at({0: 50, 1: 60}), {0: None, 1: None})

    assert plan.starting_offsets is None
    assert plan.seed == {0: 50, 1: 60}


@pytest.mark.parametrize("complete", [True, False])
@pytest.mark.parametrize("committed", [{0: None, 1: None}, {0: 50, 1: None}])
def test_the_position_of_another_querys_checkpoint_is_not_taken(
    complete: bool, committed: dict[int, int | None]
) -> None:
    checkpoint = CheckpointPosition(7, {0: 50, 1: 60}, complete, "old")

    with pytest.raises(ResumeRefusedError) as refusal:
        decide(checkpoint, committed)

    missing = "in[0], in[1]" if committed[0] is None else "in[1]"
    assert str(refusal.value) == (
        f"the checkpoint belongs to query old, and group query has no committed offset for"
        f" {missing} (name another --checkpoint to begin at --starting-offsets; to go on where that"
        " query was, stop it and run jobs/offsets.py copy --from-group old --query-name query"
        " --input-topic in)"
    )


def test_a_renamed_query_keeps_its_checkpoint_where_its_group_has_the_positions() -> None:
    checkpoint = CheckpointPosition(7, {0: 50, 1: 60}, True, "old")

    assert decide(checkpoint, {0: 50, 1: 60}) == ResumePlan("the checkpoint")
    # A partition that nobody has read begins at its oldest record.
    assert decide(checkpoint, {0: 50, 1: 60, 2: None}).seed == {2: 0}


def test_checkpoint_seeds_only_the_partitions_whose_offsets_expired() -> None:
    assert decide(at({0: 50, 1: 60}), {0: 50, 1: None}).seed == {1: 60}


def test_checkpoint_with_an_open_batch_and_no_offsets_is_refused_by_name() -> None:
    with pytest.raises(ResumeRefusedError, match=r"in\[1\], and batch 7 .*jobs/offsets.py set"):
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
    plan = decide(at({0: 50}, complete=False), {0: 50, 2: None})

    assert plan == ResumePlan("the checkpoint", seed={2: 0})


@pytest.mark.parametrize("complete", [True, False])
def test_retention_behind_what_was_answered_costs_the_checkpoint_only(complete: bool) -> None:
    """Batch 7 was answered before Spark noted it; its first records are gone."""
    plan = decide(at({0: 4, 1: 60}, complete=complete), {0: 10, 1: 60})

    assert plan.starting_offsets == {0: 10, 1: 60}
    assert plan.seed == {}
    assert plan.set_aside == "batch 7 starts at in[0]@4, the oldest record left is @10"


@pytest.mark.parametrize("complete", [True, False])
def test_retention_of_what_was_not_answered_is_refused(complete: bool) -> None:
    reason = (
        r"group query is at in\[0\]@9, but the oldest record left is @10: 1 offsets were deleted"
        r" unscored .*jobs/offsets.py set --query-name query --input-topic in --partitions 0 --to"
        r" 10\)"
    )
    with pytest.raises(ResumeRefusedError, match=reason):
        decide(at({0: 4, 1: 60}, complete=complete), {0: 9, 1: 60})


def test_without_offsets_retention_behind_the_checkpoint_is_refused() -> None:
    reason = r"in\[0\]@4, but the oldest record left is @10: 6 offsets were deleted unscored"
    with pytest.raises(ResumeRefusedError, match=reason):
        decide(at({0: 4, 1: 60}), {0: None, 1: 60})


def test_what_an_expired_offset_was_is_taken_from_the_checkpoint_that_is_set_aside() -> None:
    plan = decide(at({0: 4, 1: 60}), {0: 10, 1: None})

    assert plan.starting_offsets == {0: 10, 1: 60}
    assert plan.seed == {1: 60}


def test_a_partition_that_was_trimmed_before_it_was_ever_read_starts_at_its_oldest_record() -> None:
    """Spark expects record 0 of a partition that its checkpoint does not know."""
    plan = decide(at({0: 50}), {0: 50, 1: None})

    assert plan.starting_offsets == {0: 50, 1: 20}
    assert plan.seed == {1: 20}
    assert plan.trimmed == {1: 20}
    assert plan.set_aside == "batch 7 starts at in[1]@0, the oldest record left is @20"


def test_a_lost_checkpoint_tells_of_trimmed_partitions_too() -> None:
    assert decide(None, {0: 50, 1: None, 2: None}).trimmed == {1: 20}


def test_a_new_partition_that_the_group_knows_resumes_there() -> None:
    plan = decide(at({0: 50}), {0: 50, 1: 25})

    assert plan.starting_offsets == {0: 50, 1: 25}
    assert plan.trimmed == {}


def test_a_new_partition_that_the_group_was_seeded_for_does_not_lose_records_in_silence() -> None:
    with pytest.raises(ResumeRefusedError, match=r"in\[1\]@0, but the oldest record left is @20"):
        decide(at({0: 50}), {0: 50, 1: 0})


DAMAGE = CheckpointDamage("checkpoints/c/offsets/3 is empty")


def test_a_damaged_checkpoint_is_set_aside_where_the_group_tells_all_positions() -> None:
    plan = decide(DAMAGE, {0: 50, 1: 60})

    assert plan.starting_offsets == {0: 50, 1: 60}
    assert plan.seed == {}
    assert plan.set_aside == "checkpoints/c/offsets/3 is empty"


@pytest.mark.parametrize("committed", [{0: 50, 1: None}, {0: None, 1: None}])
def test_a_damaged_checkpoint_is_refused_where_the_group_does_not(
    committed: dict[int, int | None],
) -> None:
    reason = (
        r"the checkpoint is damaged: checkpoints/c/offsets/3 is empty; and group query has no"
        r" committed offset for .*in\[1\], which would tell .*restore the checkpoint"
    )
    with pytest.raises(ResumeRefusedError, match=reason):
        decide(DAMAGE, committed)


def test_a_damaged_checkpoint_does_not_hide_what_retention_deleted() -> None:
    with pytest.raises(ResumeRefusedError, match="6 offsets were deleted unscored"):
        decide(DAMAGE, {0: 4, 1: 60})


def test_a_checkpoint_that_spark_failed_on_is_set_aside_though_it_looks_well() -> None:
    plan = decide(at({0: 50, 1: 60}), {0: 55, 1: 60}, distrust="Spark says so")

    assert plan.starting_offsets == {0: 55, 1: 60}
    assert plan.set_aside == "Spark says so"


OFFSETS = st.none() | st.integers(0, 100)


@given(
    st.dictionaries(st.integers(0, 3), st.integers(0, 100)) | st.just("damaged") | st.none(),
    st.fixed_dictionaries(dict.fromkeys(range(4), OFFSETS)),
    st.fixed_dictionaries(dict.fromkeys(range(4), st.integers(0, 80))),
    st.booleans(),
    st.none() | st.just("Spark says so"),
)
def test_nothing_is_lost_whatever_the_state(
    start: dict[int, int] | str | None,
    committed: dict[int, int | None],
    earliest: dict[int, int],
    complete: bool,
    distrust: str | None,
) -> None:
    checkpoint: CheckpointFinding = None
    if isinstance(start, dict):
        checkpoint = CheckpointPosition(3, start, complete)
    elif start is not None:
        checkpoint = CheckpointDamage(start)
    latest = dict.fromkeys(committed, 80)
    group = GroupPosition(committed, earliest, latest, earliest)
    try:
        plan = decide_resume(checkpoint, group, topic="in", group_id="query", distrust=distrust)
    except ResumeRefusedError:
        return

    known = start if isinstance(start, dict) else {}
    begins = plan.starting_offsets or known
    is_kept = plan.starting_offsets is None
    assert is_kept == (plan.set_aside is None and checkpoint is not None)
    for partition, first in begins.items():
        done = committed[partition]
        if done is None:
            done = plan.seed[partition]
            # A partition that nobody ever read starts at its oldest record, all others where they
            # were.
            assert done == known.get(partition, earliest[partition])
        assert first <= done, "records between what is done and where Spark begins would be lost"
        assert is_kept or first == done, "a new checkpoint begins where the old one ended"
        assert first <= latest[partition], "this is not the topic that was read"
        assert first >= earliest[partition], "Spark would refuse to begin there"
    if not is_kept:
        assert begins.keys() == committed.keys()


def test_a_query_cannot_leave_out_partitions_of_its_checkpoint() -> None:
    """The topic still has these partitions, so it was not deleted and created again."""
    group = GroupPosition({0: 50}, {0: 10}, LATEST, {0: 10})

    with pytest.raises(ResumeRefusedError, match=r"reads the partitions \[1\] of in too"):
        decide_resume(at({0: 50, 1: 60}), group, topic="in", group_id="query")


def test_a_run_with_an_end_is_done_once_all_before_it_is_committed() -> None:
    end = RangeEnd({0: 60, 1: 70})

    assert end.clip({0: 100, 1: 65, 2: 9}) == {0: 60, 1: 65, 2: 0}
    assert end.is_reached({0: 60, 1: 71})
    assert not end.is_reached({0: 60, 1: None})
    # The checkpoint may lie beyond the end, and retention too.
    plan = decide(at({0: 90, 1: 90}), {0: 60, 1: 70}, end=end)
    assert (plan.is_done, plan.starting_offsets, plan.set_aside) == (True, None, None)
    plan = decide(None, {0: 60, 1: 70}, end=end)
    assert (plan.is_done, plan.starting_offsets) == (True, {0: 60, 1: 70})
    assert decide(None, {0: 5, 1: 70}, end=RangeEnd({0: 5, 1: 70})).is_done
    # A batch that was not written lies before the end.
    plan = decide(at({0: 50, 1: 90}, complete=False), {0: 55, 1: 70}, end=end)
    assert (plan.is_done, plan.starting_offsets) == (False, None)
    with pytest.raises(ResumeRefusedError, match=r"in\[0\]@55, but .* starts @60: 5 offsets"):
        decide(at({0: 90, 1: 90}), {0: 55, 1: 70}, end=end)
    # A first start has nothing to do in an empty range.
    first = decide(None, {0: None, 1: None}, configured={0: 60, 1: 70}, end=end)
    assert (first.is_done, first.seed) == (True, {0: 60, 1: 70})
