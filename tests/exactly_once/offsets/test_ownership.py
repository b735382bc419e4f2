"""Row by row: which offsets a query accepts as its own."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from lib.errors import ResumeRefusedError, SinkOffsetsGoneError, SinkTakenOverError
from lib.exactly_once.offsets.acceptance import is_acceptance, sign_offsets
from lib.exactly_once.offsets.ownership import Evidence, check_ownership, check_still_owner
from lib.exactly_once.offsets.stamp import CLAIM, UNKNOWN_QUERY, Stamp

OURS = Stamp("query-1", "host:1:ab", 7, "topic-1")
GOOD = Evidence(
    committed={0: 50, 1: 60, 2: None},
    stamps={0: OURS, 1: OURS, 2: None},
    topic_id="topic-1",
    checkpoint_query_id="query-1",
    checkpoint_topic_id="topic-1",
)


def check(evidence: Evidence, accepted: str | None = None) -> bool:
    return check_ownership(evidence, topic="in", group_id="churn", accepted=accepted)


def with_stamp(**changes: object) -> Evidence:
    return replace(GOOD, stamps={**GOOD.stamps, 1: replace(OURS, **changes)})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "evidence",
    [
        pytest.param(GOOD, id="all by this query"),
        pytest.param(with_stamp(run_id="other:2:cd"), id="an earlier run of it"),
        pytest.param(with_stamp(query_id=UNKNOWN_QUERY, batch_id=CLAIM), id="a claim"),
        pytest.param(replace(GOOD, checkpoint_topic_id=None), id="no topic noted yet"),
        pytest.param(
            replace(GOOD, checkpoint_query_id=None, checkpoint_topic_id=None),
            id="the checkpoint is lost",
        ),
        pytest.param(
            Evidence({0: None}, {0: None}, "topic-1"), id="neither checkpoint nor offsets"
        ),
    ],
)
def test_own_offsets_are_taken(evidence: Evidence) -> None:
    assert not check(evidence)
    assert not check(evidence, "in@0123456789ab")


REFUSED = {
    "another query": (
        with_stamp(query_id="query-2"),
        r"in\[1\]@60 of group churn was committed by another query: found query id query-2 "
        r"\(run host:1:ab, batch 7\), the checkpoint's is query-1",
    ),
    "moved by hand": (
        replace(GOOD, stamps={**GOOD.stamps, 1: None}),
        r"in\[1\]@60 of group churn was not committed by this job: it was set by hand",
    ),
    "a topic made anew, by the stamp": (
        with_stamp(topic_id="topic-0"),
        r"in\[1\]@60 .* another topic of that name: found topic id topic-0, expected topic-1",
    ),
    "a topic made anew, by the checkpoint": (
        replace(GOOD, checkpoint_topic_id="topic-0", committed={}, stamps={}),
        r"the checkpoint was made with another topic in: found topic id topic-1, expected topic-0",
    ),
}


@pytest.mark.parametrize(("evidence", "reason"), REFUSED.values(), ids=REFUSED)
def test_offsets_of_others_are_refused_and_can_be_accepted(evidence: Evidence, reason: str) -> None:
    with pytest.raises(ResumeRefusedError, match=reason) as refusal:
        check(evidence)

    value = find_value(refusal.value)
    assert is_acceptance(value)
    assert check(evidence, value)


def find_value(refusal: ResumeRefusedError) -> str:
    found = re.search(r"start once with --accept-offsets (\S+)$", refusal.hint)
    assert found is not None
    return found[1]


@pytest.mark.parametrize(
    "later",
    [
        pytest.param({"committed": {0: 50, 1: 61, 2: None}}, id="an offset moved on"),
        pytest.param({"committed": {0: 50, 1: 60, 2: 0}}, id="one more partition"),
        pytest.param({"topic_id": "topic-2"}, id="the topic was recreated"),
    ],
)
def test_what_was_accepted_once_is_of_no_use_later(later: dict[str, Any]) -> None:
    by_hand = replace(GOOD, stamps=dict.fromkeys(GOOD.stamps))
    with pytest.raises(ResumeRefusedError) as refusal:
        check(by_hand)
    value = find_value(refusal.value)

    reason = rf"; --accept-offsets {value} accepts other offsets than these"
    with pytest.raises(ResumeRefusedError, match=reason) as second:
        check(replace(by_hand, **later), value)
    assert check(replace(by_hand, **later), find_value(second.value))


def test_a_value_accepts_the_offsets_of_one_group_and_topic() -> None:
    signed = {
        sign_offsets({0: 50}, topic=topic, topic_id="topic-1", group_id=group)
        for topic, group in (("in", "churn"), ("in", "other"), ("out", "churn"))
    }
    assert len({value.partition("@")[2] for value in signed}) == 3
    assert sign_offsets({1: None, 0: 5}, topic="in", topic_id="t", group_id="g") == (
        sign_offsets({0: 5, 1: None}, topic="in", topic_id="t", group_id="g")
    )


@pytest.mark.parametrize("text", ["", "true", "in", "in@", "in@0123456789a", "in@0123456789AB"])
def test_what_is_no_such_value(text: str) -> None:
    assert not is_acceptance(text)


def test_a_group_that_somebody_subscribed_to_is_refused_even_if_accepted() -> None:
    with pytest.raises(ResumeRefusedError, match=r"2 consumers have subscribed with group churn"):
        check(replace(GOOD, members=2))
    value = sign_offsets(GOOD.committed, topic="in", topic_id="topic-1", group_id="churn")
    with pytest.raises(ResumeRefusedError, match="2 consumers have subscribed"):
        check(replace(GOOD, members=2), value)


EARLIER = replace(OURS, run_id="host:0:aa").to_metadata()
BY_US = OURS.to_metadata()
BY_ANOTHER = replace(OURS, run_id="other:2:cd", batch_id=8).to_metadata()


@pytest.mark.parametrize(
    ("stamps", "seen"),
    [
        pytest.param({0: BY_US, 1: None}, {}, id="this run has committed"),
        pytest.param({0: EARLIER}, {0: EARLIER}, id="what was there before it"),
        pytest.param({0: BY_US}, {0: EARLIER}, id="this run, after what was there"),
        pytest.param({0: "", 1: "by hand"}, {0: "", 1: "by hand"}, id="accepted at the start"),
        pytest.param({0: None}, {0: None}, id="nothing is committed"),
    ],
)
def test_a_run_goes_on_over_what_it_knows(
    stamps: dict[int, str | None], seen: dict[int, str | None]
) -> None:
    check_still_owner(stamps, seen, OURS.run_id, "churn")


@pytest.mark.parametrize(
    ("stamps", "who"),
    [
        pytest.param({0: BY_US, 1: BY_ANOTHER}, r"run other:2:cd, batch 8", id="another run"),
        pytest.param({1: "by hand"}, "an unknown client", id="no stamp"),
        pytest.param({1: ""}, "an unknown client", id="no metadata at all"),
    ],
)
def test_a_run_stops_once_another_has_committed(stamps: dict[int, str | None], who: str) -> None:
    with pytest.raises(SinkTakenOverError, match=rf"partition 1 was committed by {who}"):
        check_still_owner(stamps, {0: EARLIER, 1: EARLIER}, OURS.run_id, "churn")


def test_a_run_tells_which_of_its_offsets_are_gone() -> None:
    with pytest.raises(SinkOffsetsGoneError, match=r"lost its offsets of the partitions \[1\]"):
        check_still_owner({0: BY_US, 1: None, 2: None}, {1: BY_US}, OURS.run_id, "churn")
