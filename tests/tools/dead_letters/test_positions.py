"""Each row of the table decides where a run goes on to read dead letters."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from lib.errors import ResendRefusedError
from lib.exactly_once.offsets.stamp import UNKNOWN_QUERY, Stamp
from lib.tools.dead_letters.positions import GroupState, decide_starts, is_reader, name_reader

NOW = "0123"


def describe(
    committed: Mapping[int, int | None],
    *,
    earliest: int = 0,
    latest: int = 100,
    query_id: str | None = None,
    topic_id: str = NOW,
) -> GroupState:
    """Describe a group and a topic whose partitions all hold the same offsets."""
    stamp = None if query_id is None else Stamp(query_id, "host:1:aa", 0, topic_id)
    return GroupState(
        committed,
        stamps={it: None if at is None else stamp for it, at in committed.items()},
        earliest=dict.fromkeys(committed, earliest),
        latest=dict.fromkeys(committed, latest),
        topic_id=NOW,
    )


def decide(found: GroupState, *, from_beginning: bool = False) -> dict[int, int]:
    return decide_starts(found, topic="dead", group_id="repair", from_beginning=from_beginning)


FIRST_RUN = (
    "if this is the first run under this name, add --from-beginning; if it is not, that would send"
    " letters a second time: set the positions to what the last run printed, see 'Sending them"
    " again' in docs/dead_letters.md"
)
GO_ON = (
    "leave it out to go on from there; another --resend-name starts over, and sends every letter"
    " again"
)
RECREATED = (
    "if it was recreated, delete the group's positions (jobs/offsets.py delete --query-name"
    " repair --input-topic dead) and add --from-beginning"
)


@pytest.mark.parametrize(
    ("found", "from_beginning", "starts"),
    [
        pytest.param(describe({0: 20, 1: 0}), False, {0: 20, 1: 0}, id="goes on"),
        pytest.param(describe({0: None, 1: None}), True, {0: 0, 1: 0}, id="first run"),
        pytest.param(describe({0: None}, earliest=40), True, {0: 40}, id="trimmed, first run"),
        pytest.param(describe({0: None, 1: None}, latest=0), False, {0: 0, 1: 0}, id="no letters"),
        pytest.param(describe({0: None}, latest=0), True, {0: 0}, id="no letters, first run"),
        pytest.param(describe({0: 20, 1: None}), True, {0: 20, 1: 0}, id="one lost, accepted"),
        pytest.param(
            describe({0: 20, 1: None}, query_id=name_reader(1)), False, {0: 20, 1: 0}, id="one new"
        ),
        pytest.param(describe({0: 100}), False, {0: 100}, id="at the end"),
        pytest.param(describe({0: 20}, earliest=40), False, {0: 20}, id="behind the retention"),
        pytest.param(
            describe({0: 20}, query_id=UNKNOWN_QUERY, topic_id="-"), False, {0: 20}, id="older run"
        ),
    ],
)
def test_where_it_begins(found: GroupState, from_beginning: bool, starts: dict[int, int]) -> None:
    assert decide(found, from_beginning=from_beginning) == starts


@pytest.mark.parametrize(
    ("found", "from_beginning", "message", "hint"),
    [
        pytest.param(
            describe({0: None, 1: None}),
            False,
            "group repair has no position in the partitions [0], [1] of dead: it has not read them"
            " yet, or its positions were deleted or have expired",
            FIRST_RUN,
            id="first run, or all expired",
        ),
        pytest.param(
            describe({0: 20, 1: None}, query_id=name_reader(2)),
            False,
            "group repair has no position in the partitions [1] of dead, those of [0]@20 are there:"
            " it has not read them yet, or its positions were deleted or have expired",
            FIRST_RUN,
            id="one lost",
        ),
        pytest.param(
            describe({0: 20, 1: None}, query_id=UNKNOWN_QUERY),
            False,
            "group repair has no position in the partitions [1] of dead, those of [0]@20 are there:"
            " it has not read them yet, or its positions were deleted or have expired",
            FIRST_RUN,
            id="one lost, nobody knows of how many",
        ),
        pytest.param(
            describe({0: None, 1: 20, 2: None}, query_id=name_reader(2)),
            False,
            "group repair has no position in the partitions [0] of dead, those of [1]@20 are there:"
            " it has not read them yet, or its positions were deleted or have expired",
            FIRST_RUN,
            id="one lost, one new",
        ),
        pytest.param(
            describe({0: 20, 1: 0}),
            True,
            "--from-beginning is for the first run under a name, but group repair has read dead"
            " before, up to [0]@20, [1]@0",
            GO_ON,
            id="flag left in a script",
        ),
        pytest.param(
            describe({0: 20, 1: None}, query_id=name_reader(1)),
            True,
            "--from-beginning is for the first run under a name, but group repair has read dead"
            " before, up to [0]@20",
            GO_ON,
            id="flag left in a script, one new",
        ),
        pytest.param(
            describe({0: 20}, query_id=name_reader(1), topic_id="9999"),
            False,
            "dead[0]@20 of group repair was committed for another topic of that name: found topic"
            " id 9999, expected 0123; it was deleted and recreated",
            RECREATED,
            id="recreated",
        ),
        pytest.param(
            describe({0: 101}),
            True,
            "dead[0]@101 of group repair is past the end of the topic, @100: it was deleted and"
            " recreated, or the position was set by hand",
            RECREATED,
            id="past the end",
        ),
    ],
)
def test_what_might_send_letters_twice_or_pass_them_over_is_refused(
    found: GroupState, from_beginning: bool, message: str, hint: str
) -> None:
    with pytest.raises(ResendRefusedError) as refusal:
        decide(found, from_beginning=from_beginning)

    assert (refusal.value.message, refusal.value.hint) == (message, hint)


def test_the_stamps_of_runs_are_told_from_those_of_queries() -> None:
    assert is_reader(Stamp(name_reader(4), "host:1:aa", 0))
    assert not is_reader(Stamp("d1a9e2b6-3c55-4d4b-9f0b-6a7e1c2f9b11", "host:1:aa", 0))
    assert not is_reader(Stamp(UNKNOWN_QUERY, "host:1:aa", 0))
