"""Answers are read from messages; a shadow's belongs to the prediction of the same record."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime

import pytest

from lib.tools.models.topics.answers import Answer, AnswerReader, is_model, spell_moment
from lib.tools.models.topics.pairing import Pairing
from tests.support.telco import CUSTOMER
from tests.tools.models.topics.answers import FIRST, SECOND, TIME, answer, spell

READER = AnswerReader(CUSTOMER)


def pair(predictions: list[Answer], shadows: list[Answer]) -> Pairing:
    pairing = Pairing(shadows)
    for it in predictions:
        pairing.add(it)
    return pairing


def test_a_prediction_is_read() -> None:
    value = (
        b'{"customerID":"0000-CEXHR","churn_probability":0.047789,"prediction":"No",'
        b'"event_ts":"2026-11-23T14:20:01.431Z","processed_ts":"2026-11-23T14:20:12.827Z",'
        b'"model_version":"churn@1/onnx"}'
    )

    assert READER.read(b"key", value) == (
        (b"key", "0000-CEXHR", "2026-11-23T14:20:01.431Z"),
        "2026-11-23T14:20:12.827Z",
        "churn@1/onnx",
        0.047789,
        "No",
        "",
    )


def test_a_shadow_that_failed_is_read() -> None:
    failed = answer("C1", None, SECOND, error="ValueError")

    assert READER.read(b"C1", spell(failed)) == failed


def test_a_record_without_event_time_is_read() -> None:
    fields = json.loads(spell(answer("C1", 0.5)))
    del fields["event_ts"]

    assert READER.read(None, json.dumps(fields).encode()).record == (None, "C1", None)


@pytest.mark.parametrize(
    ("change", "missing"),
    [
        ({"churn_probability": 1.1}, ""),
        ({"churn_probability": True}, ""),
        ({"churn_probability": "0.5"}, ""),
        ({"prediction": "Maybe"}, ""),
        ({"prediction": ["No"]}, ""),
        ({"prediction": None}, ""),
        ({"customerID": 7}, ""),
        ({}, "processed_ts"),
        ({}, "model_version"),
    ],
)
def test_another_message_is_no_prediction(change: dict[str, object], missing: str) -> None:
    fields = json.loads(spell(answer("C1", 0.5))) | change
    fields.pop(missing, None)

    with pytest.raises(ValueError, match="a prediction has"):
        READER.read(b"C1", json.dumps(fields).encode())


@pytest.mark.parametrize("value", [None, b"", b"{", b"[]", b"\xff"])
def test_bytes_that_are_no_object_are_no_prediction(value: bytes | None) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        READER.read(b"C1", value)


def test_a_name_means_a_model_with_its_backend_or_without() -> None:
    assert is_model("churn@1/onnx", "churn@1")
    assert is_model("churn@1/onnx", "churn@1/onnx")
    assert not is_model("churn@11/onnx", "churn@1")
    assert not is_model("churn@1/onnx", "churn@1/sql")


def test_moments_are_spelled_as_predictions_spell_them() -> None:
    assert spell_moment(datetime(2026, 11, 23, 14, 20, 1, tzinfo=UTC)) == TIME


def test_equal_records_are_paired_whatever_the_order_of_keys() -> None:
    pairing = pair(
        [answer("a", 0.1), answer("b", 0.2)],
        [answer("b", 0.7, SECOND), answer("a", 0.6, SECOND)],
    )

    (found,) = pairing.found.values()
    assert [(it.first.probability, it.second.probability) for it in found.pairs] == [
        (0.1, 0.6),
        (0.2, 0.7),
    ]
    assert (found.without_second, pairing.count_alone(SECOND)) == (0, 0)


def test_records_that_share_everything_are_paired_by_their_order() -> None:
    pairing = pair(
        [answer("a", 0.1), answer("a", 0.2), answer("a", 0.3)],
        [answer("a", 0.6, SECOND), answer("a", 0.7, SECOND)],
    )

    (found,) = pairing.found.values()
    assert [(it.first.probability, it.second.probability) for it in found.pairs] == [
        (0.1, 0.6),
        (0.2, 0.7),
    ]
    assert found.without_second == 1


@pytest.mark.parametrize(
    "other",
    [
        answer("b", 0.6, SECOND),
        answer("a", 0.6, SECOND, at=1),
        answer("a", 0.6, SECOND)._replace(record=(b"a", "a", None)),
        answer("a", 0.6, SECOND)._replace(record=(b"other", "a", TIME)),
    ],
    ids=["identifier", "time of scoring", "event time", "key"],
)
def test_another_record_is_no_partner(other: Answer) -> None:
    # The last pair makes the time of the shadow long enough.
    pairing = pair(
        [answer("a", 0.1), answer("z", 0.1, at=0), answer("z", 0.1, at=2)],
        [other, answer("z", 0.6, SECOND, at=0), answer("z", 0.6, SECOND, at=2)],
    )

    (found,) = pairing.found.values()
    assert (len(found.pairs), found.without_second, pairing.count_alone(SECOND)) == (2, 1, 1)


def test_a_record_on_which_the_shadow_failed_counts_apart() -> None:
    pairing = pair(
        [answer("a", 0.1), answer("b", 0.2), answer("c", 0.3)],
        [
            answer("a", None, SECOND, error="ValueError"),
            answer("b", None, SECOND, error="KeyError"),
            answer("c", 0.6, SECOND),
        ],
    )

    (found,) = pairing.found.values()
    assert found.failures == Counter(ValueError=1, KeyError=1)
    assert (len(found.pairs), found.without_second) == (1, 0)


def test_predictions_before_and_after_the_shadow_do_not_count() -> None:
    pairing = pair(
        [answer("a", 0.1, at=it) for it in range(10)],
        [answer("a", 0.6, SECOND, at=it) for it in (3, 6)],
    )

    (found,) = pairing.found.values()
    assert (len(found.pairs), found.without_second) == (2, 2)  # the seconds 4 and 5


def test_each_shadow_is_paired_with_each_model_that_answered() -> None:
    third = "churn@3/sql"
    pairing = pair(
        [answer("a", 0.1), answer("b", 0.2, third), answer("c", 0.3)],
        [
            *(answer(it, 0.6, SECOND) for it in "abc"),
            *(answer(it, 0.7, "churn@4/onnx") for it in "ab"),
        ],
    )

    counts = {names: len(found.pairs) for names, found in pairing.found.items()}
    assert counts == {
        (FIRST, SECOND): 2,
        (third, SECOND): 1,
        (FIRST, "churn@4/onnx"): 1,
        (third, "churn@4/onnx"): 1,
    }
    assert pairing.found[FIRST, "churn@4/onnx"].without_second == 1
    assert pairing.shadows == [SECOND, "churn@4/onnx"]
    assert pairing.first == pairing.last == "2026-11-23T14:20:00.000Z"
