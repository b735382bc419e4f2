"""Topics that cannot keep the promise are reported before anything is written."""

from __future__ import annotations

import logging

import pytest

from lib.errors import KafkaSetupError
from lib.findings import Finding, Severity, list_troubles
from lib.kafka.topic_limits import TopicFacts, judge_source, judge_topics
from lib.stream.preflight import report_findings

SAFE = {"min.insync.replicas": "2", "max.message.bytes": "1048588"}
ROOMY = {**SAFE, "max.message.bytes": "2097152"}
SOURCE = TopicFacts("in", 3, SAFE)


def judge(
    output: TopicFacts | None = None,
    dead: TopicFacts | None = None,
    *,
    source: TopicFacts = SOURCE,
    brokers: int = 3,
    is_envelope: bool = False,
    shadows: TopicFacts | None = None,
) -> list[tuple[str, str, str]]:
    """Return (severity, text, hint) of each finding that something is wrong."""
    found = judge_topics(
        source,
        output or TopicFacts("out", 3, SAFE),
        dead or TopicFacts("dead", 3, ROOMY),
        brokers=brokers,
        is_envelope=is_envelope,
        shadows=shadows,
    )
    return [(it.severity.name, it.text, it.hint) for it in list_troubles(found)]


def test_topics_that_hold_the_promise_are_not_spoken_of() -> None:
    assert judge() == []
    assert judge(shadows=TopicFacts("shadows", 3, SAFE)) == []


def test_the_topic_of_shadows_is_judged_as_that_of_predictions() -> None:
    found = judge(
        shadows=TopicFacts("shadows", 1, {**SAFE, "max.message.bytes": "1000"}),
        source=TopicFacts("in", 3, {**SAFE, "max.message.bytes": "2000"}),
    )

    assert [(level, text) for level, text, _ in found] == [
        (
            "ERROR",
            "topic shadows: found 1 replica, expected at least its min.insync.replicas, 2: nothing"
            " can be written",
        ),
        (
            "WARNING",
            "topic shadows has one replica: when its broker dies, what it holds is gone and the job"
            " stands still",
        ),
        (
            "NOTE",
            "topic shadows: max.message.bytes is 1000, but topic in takes 2000: a prediction has"
            " the record's key and the headers of its trace, and one that does not fit costs its"
            " batch what shadows answer",
        ),
    ]


@pytest.mark.parametrize(
    ("replicas", "settings", "severity", "text", "hint"),
    [
        (
            *(1, {"min.insync.replicas": "2"}, "ERROR"),
            "topic out: found 1 replica, expected at least its min.insync.replicas, 2:"
            " nothing can be written",
            "--add-config min.insync.replicas=1",
        ),
        (
            *(2, {"min.insync.replicas": "3"}, "ERROR"),
            "topic out: found 2 replicas, expected at least its min.insync.replicas, 3",
            "--add-config min.insync.replicas=1",
        ),
        (
            *(1, {"min.insync.replicas": "1"}, "WARNING"),
            "topic out has one replica: when its broker dies, what it holds is gone",
            "kafka-reassign-partitions.sh",
        ),
        (
            *(3, {"min.insync.replicas": "1"}, "WARNING"),
            "topic out has min.insync.replicas=1: a broker that dies can take the last committed",
            "kafka-configs.sh --alter --entity-type topics --entity-name out"
            " --add-config min.insync.replicas=2",
        ),
        (
            *(3, {"unclean.leader.election.enable": "true"}, "WARNING"),
            "topic out has unclean.leader.election.enable=true: when its in-sync replicas die",
            "--add-config unclean.leader.election.enable=false",
        ),
        (
            *(3, {"cleanup.policy": "compact,delete"}, "WARNING"),
            "topic out has cleanup.policy=compact,delete: it keeps the last message of each key",
            "--add-config cleanup.policy=delete",
        ),
    ],
)
def test_a_weak_output_topic_is_named_with_what_is_lost_and_the_way_out(
    replicas: int, settings: dict[str, str], severity: str, text: str, hint: str
) -> None:
    (first, *_) = judge(TopicFacts("out", replicas, {**SAFE, **settings}))

    assert first[0] == severity
    assert first[1].startswith(text)
    assert first[2].endswith(hint) or first[2].startswith(f"give it three with {hint}")


def test_the_dead_letters_topic_is_held_to_the_same() -> None:
    found = judge(dead=TopicFacts("dead", 3, {**ROOMY, "min.insync.replicas": "1"}))

    assert [(severity, text[:31]) for severity, text, _ in found] == [
        ("WARNING", "topic dead has min.insync.repli")
    ]


def test_each_weakness_is_a_line_of_its_own() -> None:
    weak = {"min.insync.replicas": "1", "unclean.leader.election.enable": "true"}

    assert len(judge(TopicFacts("out", 3, {**SAFE, **weak}))) == 2


def test_one_broker_replicates_nothing_and_that_is_one_quiet_line() -> None:
    lonely = {"min.insync.replicas": "1", "max.message.bytes": "2097152"}

    ((severity, text, _),) = judge(
        TopicFacts("out", 1, lonely), TopicFacts("dead", 1, lonely), brokers=1
    )

    assert severity == "NOTE"
    assert text.startswith("topics out and dead have one replica: the cluster has one broker")


def test_one_broker_that_demands_two_replicas_is_an_error_all_the_same() -> None:
    found = judge(TopicFacts("out", 1, {**SAFE, "min.insync.replicas": "2"}), brokers=1)

    assert [severity for severity, _, _ in found] == ["ERROR", "NOTE"]


@pytest.mark.parametrize(
    ("largest", "room", "is_envelope", "needed"),
    [
        (1_048_588, 1_048_588, False, 1_064_972),
        (1_048_588, 1_064_971, False, 1_064_972),
        (1_048_588, 1_064_972, False, None),
        (1_048_588, 1_064_972, True, 1_414_504),
        (1_048_588, 1_414_504, True, None),
        (2_097_152, 2_097_152, False, 2_113_536),
    ],
)
def test_dead_letters_need_room_for_the_record_and_what_is_added(
    largest: int, room: int, is_envelope: bool, needed: int | None
) -> None:
    found = judge(
        TopicFacts("out", 3, {**SAFE, "max.message.bytes": str(largest)}),
        TopicFacts("dead", 3, {**SAFE, "max.message.bytes": str(room)}),
        source=TopicFacts("in", 3, {**SAFE, "max.message.bytes": str(largest)}),
        is_envelope=is_envelope,
    )

    if needed is None:
        assert found == []
    else:
        ((severity, text, hint),) = found
        assert severity == "WARNING"
        assert f"max.message.bytes is {room}, but" in text
        assert f"can have {needed} (in takes {largest})" in text
        assert hint == (
            "kafka-configs.sh --alter --entity-type topics --entity-name dead"
            f" --add-config max.message.bytes={needed}"
        )


def test_what_was_compared_is_told_of_good_topics_too() -> None:
    found = judge_topics(
        SOURCE, TopicFacts("out", 3, SAFE), TopicFacts("dead", 3, ROOMY), brokers=3
    )

    assert [(it.severity.name, it.check, it.found, it.expected) for it in found] == [
        (
            *("OK", "topic out: replicas", "3, min.insync.replicas=2"),
            "3, with min.insync.replicas=2 of them",
        ),
        (
            *("OK", "topic dead: replicas", "3, min.insync.replicas=2"),
            "3, with min.insync.replicas=2 of them",
        ),
        ("OK", "topic out: max.message.bytes", "1048588", "at least 1048588, as topic in has"),
        (
            *("OK", "topic dead: max.message.bytes", "2097152"),
            "at least 1064972, for a dead letter of a record of 1048588 bytes",
        ),
    ]


@pytest.mark.parametrize(
    ("settings", "found"),
    [
        ({"max.message.bytes": "1048588", "retention.ms": "604800000"}, []),
        ({"max.message.bytes": "66560", "retention.ms": "259200001"}, []),
        ({"retention.ms": "-1", "retention.bytes": "-1"}, []),
        ({"retention.ms": "3600000", "cleanup.policy": "compact"}, ["cleanup.policy"]),
        ({"max.message.bytes": "66559"}, ["max.message.bytes"]),
        ({"retention.ms": "259200000"}, ["retention.ms"]),
        ({"retention.ms": "-1", "retention.bytes": "1000"}, ["retention.bytes"]),
        ({}, []),
    ],
)
def test_the_input_holds_the_largest_record_and_outlasts_an_outage(
    settings: dict[str, str], found: list[str]
) -> None:
    source = TopicFacts("in", 3, settings)

    judged = judge_source(source, max_bytes=65_536, outage_s=72 * 3600)

    assert [it.check for it in list_troubles(judged)] == [f"topic in: {name}" for name in found]


def test_a_retention_below_the_outage_names_both_and_the_way_out() -> None:
    (found,) = judge_source(
        TopicFacts("in", 3, {"retention.ms": "86400000"}), max_bytes=1, outage_s=72 * 3600
    )

    assert (found.severity, found.found) == (Severity.WARNING, "24 h")
    assert found.expected == "more than 72 h, the expected outage"
    assert found.hint == (
        "kafka-configs.sh --alter --entity-type topics --entity-name in"
        " --add-config retention.ms=518400000"
    )


def test_predictions_need_room_for_the_keys_and_headers_of_records() -> None:
    source = TopicFacts("in", 3, {**SAFE, "max.message.bytes": "1048588"})
    narrow = TopicFacts("out", 3, {**SAFE, "max.message.bytes": "1048587"})

    assert judge(narrow, source=source) == [
        (
            "NOTE",
            "topic out: max.message.bytes is 1048587, but topic in takes 1048588: a prediction has"
            " the record's key and the headers of its trace, and one that does not fit stops the"
            " job",
            "kafka-configs.sh --alter --entity-type topics --entity-name out"
            " --add-config max.message.bytes=1048588",
        )
    ]


def test_what_nobody_may_know_is_not_judged() -> None:
    hidden = TopicFacts("out", 3, {})

    assert judge(hidden, TopicFacts("dead", 3, {}), source=TopicFacts("in", 3, {})) == []


def test_a_topic_for_both_is_judged_once() -> None:
    both = TopicFacts("both", 3, {**ROOMY, "min.insync.replicas": "1"})

    assert len(judge(both, both)) == 1


def test_warnings_are_logged_notes_are_quiet_and_errors_end_the_start(
    caplog: pytest.LogCaptureFixture,
) -> None:
    findings = [
        Finding(Severity.NOTE, "a", "b", "c", "good to know", "rest"),
        Finding(Severity.ERROR, "a", "b", "c", "cannot be", "change it"),
        Finding.ok("a", "b"),
        Finding(Severity.WARNING, "a", "b", "c", "has a hole", "mend it"),
    ]

    with (
        caplog.at_level(logging.INFO, "lib"),
        pytest.raises(KafkaSetupError, match=r"cannot be \(change it\)"),
    ):
        report_findings(findings)

    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("INFO", "good to know (rest)"),
        ("WARNING", "has a hole (mend it)"),
    ]
