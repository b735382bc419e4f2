"""Several models score one batch: who answers what, in which order, and with whose settings."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from lib.messages.columns import COUNTED_SCHEMA, MESSAGE_SCHEMA
from lib.record.prediction import Prediction
from lib.stream.trial import shadow_thread
from tests.stream.trial.plans import (
    build_plan,
    build_records,
    build_settings,
    build_shadow,
    build_trial,
    give,
    read,
)
from tests.support.records import record
from tests.support.telco import CUSTOMER

# Whether pmod(hash(key), 1000000) of k0 to k7 is below 500,000; see test_buckets.py.
HALF = [False, True, False, True, False, False, False, True]

CHAMPION = build_plan(give(0.4), "m@1/onnx")
VALUES = [record(tenure=number) for number in range(8)]


def by_charges(features: Mapping[str, Any]) -> Any:
    return features["MonthlyCharges"] / 1000


def test_without_others_a_plan_gives_what_the_champion_alone_gives() -> None:
    records = build_records([*VALUES[:3], b"{", None])

    alone, together = (plan.score_batch(records) for plan in (CHAMPION, build_trial(CHAMPION)))

    def drop_time(messages: pa.RecordBatch) -> list[Any]:
        return [
            (it.topic, it.key, it.offset, it.value | {"processed_ts": ""})
            for it in read(messages)
            if it.topic == "out"
        ]

    assert together.schema == alone.schema == MESSAGE_SCHEMA
    assert drop_time(together) == drop_time(alone)


def test_the_challenger_answers_its_share_in_the_order_of_the_records() -> None:
    plan = build_trial(CHAMPION, build_plan(give(0.4), "m@2/sklearn", threshold=0.3))

    found = read(plan.score_batch(build_records(VALUES)))

    assert [it.offset for it in found] == list(range(8))
    assert [it.key for it in found] == [f"k{number}".encode() for number in range(8)]
    assert [it.value["model_version"] == "m@2/sklearn" for it in found] == HALF
    assert [it.value["prediction"] == "Yes" for it in found] == HALF  # by its own threshold


def test_each_model_gives_its_own_reasons() -> None:
    plan = build_trial(
        build_plan(give(0.4), "m@1/onnx", reason="tenure"),
        build_plan(give(0.4), "m@2/onnx", reason="gender"),
        shadows=[build_shadow(give(0.4), "m@3/onnx", reason="Contract")],
    )

    found = read(plan.score_batch(build_records(VALUES)))

    named = {(it.value["model_version"], it.value["reasons"][0]["feature"]) for it in found}
    assert named == {("m@1/onnx", "tenure"), ("m@2/onnx", "gender"), ("m@3/onnx", "Contract")}


def test_a_share_that_no_record_of_a_batch_belongs_to_changes_nothing() -> None:
    plan = build_trial(CHAMPION, build_plan(give(0.4), "m@2/onnx"), share=0.000001)

    found = read(plan.score_batch(build_records(VALUES)))

    assert [it.value["model_version"] for it in found] == ["m@1/onnx"] * 8


def test_invalid_records_become_dead_letters_whoever_would_answer_them() -> None:
    values = [b"{" if number % 2 else VALUES[number] for number in range(8)]
    plan = build_trial(CHAMPION, build_plan(give(0.4), "m@2/onnx"))

    found = read(plan.score_batch(build_records(values)))

    assert [it.topic for it in found] == ["out", "dead"] * 4
    assert [it.offset for it in found] == list(range(8))


def test_records_on_which_the_challenger_fails_are_dead_letters() -> None:
    plan = build_trial(CHAMPION, build_plan(give(np.nan), "m@2/onnx"))

    found = read(plan.score_batch(build_records(VALUES)))

    assert [it.topic == "dead" for it in found] == HALF


def test_records_without_a_key_are_divided_too() -> None:
    plan = build_trial(CHAMPION, build_plan(give(0.4), "m@2/onnx"))
    values = [VALUES[0]] * 200

    found = read(plan.score_batch(build_records(values, keys=[None] * 200)))

    assert 60 < sum(it.value["model_version"] == "m@2/onnx" for it in found) < 140
    assert [it.offset for it in found] == list(range(200))


def test_an_empty_batch_has_no_messages() -> None:
    plan = build_trial(
        CHAMPION, build_plan(give(0.4), "m@2/onnx"), shadows=[build_shadow(give(0.4), "m@3/onnx")]
    )

    assert plan.score_batch(build_records([])).num_rows == 0


def test_a_shadow_says_what_it_would_have_answered() -> None:
    headers = ['[{"key":"traceparent","value":"MDA="}]']
    plan = build_trial(CHAMPION, shadows=[build_shadow(by_charges, "m@2/onnx", threshold=0.2)])

    answer, shadow = read(
        plan.score_batch(build_records([record(MonthlyCharges=250)], headers=headers))
    )

    assert (answer.topic, shadow.topic) == ("out", "shadows")
    assert (shadow.key, shadow.offset, shadow.headers) == (b"k0", 0, answer.headers)
    assert shadow.headers == [{"key": "traceparent", "value": b"00"}]
    assert shadow.value == {
        **answer.value,
        "churn_probability": 0.25,
        "prediction": "Yes",
        "model_version": "m@2/onnx",
    }
    assert answer.value["event_ts"] == "2026-01-02T03:04:05.678Z"


def test_a_shadow_has_the_bytes_of_a_prediction_of_its_model() -> None:
    plan = build_trial(CHAMPION, shadows=[build_shadow(by_charges, "m@2/onnx")])
    records = build_records([record(MonthlyCharges=12.5, event_ts="2025-12-31T23:59:59+01:00")])

    (_, shadow) = plan.score_batch(records)["value"].to_pylist()
    (alone,) = build_plan(by_charges, "m@2/onnx").score_batch(records)["value"].to_pylist()

    def cut(value: bytes) -> bytes:
        before, _, after = value.partition(b'"processed_ts":"')
        return before + after.partition(b'"')[2]

    assert cut(shadow) == cut(alone)
    assert Prediction.from_value(shadow, CUSTOMER).probability == 0.0125


def test_messages_of_two_shadows_follow_the_answer_to_their_record() -> None:
    values = [VALUES[0], b"{", VALUES[2], None, VALUES[4]]
    shadows = [build_shadow(give(0.1), "m@3/onnx"), build_shadow(give(0.9), "m@4/onnx")]
    # The bucket of k2 is 544,257.
    plan = build_trial(CHAMPION, build_plan(give(0.5), "m@2/onnx"), 0.55, shadows)

    found = read(plan.score_batch(build_records(values)))

    assert [
        (it.offset, it.topic if it.topic == "dead" else it.value["model_version"]) for it in found
    ] == [
        *((0, "m@1/onnx"), (0, "m@3/onnx"), (0, "m@4/onnx")),
        (1, "dead"),
        *((2, "m@2/onnx"), (2, "m@3/onnx"), (2, "m@4/onnx")),
        (3, "dead"),
        *((4, "m@1/onnx"), (4, "m@3/onnx"), (4, "m@4/onnx")),
    ]


def test_an_answer_and_its_shadow_have_one_time() -> None:
    plan = build_trial(
        CHAMPION, build_plan(give(0.5), "m@2/onnx"), shadows=[build_shadow(give(0.1), "m@3/onnx")]
    )

    found = read(plan.score_batch(build_records(VALUES)))

    assert len({it.value["processed_ts"] for it in found}) == 1


def raise_on_all(features: Mapping[str, Any]) -> Any:
    raise ValueError("secret 7590-VHVEG")


def raise_on_five(features: Mapping[str, Any]) -> Any:
    if 5 in features["tenure"]:
        raise KeyError("tenure 5")
    return np.full(len(features["tenure"]), 0.7)


def test_a_shadow_that_fails_costs_its_own_answers_only() -> None:
    plan = build_trial(CHAMPION, shadows=[build_shadow(raise_on_all, "m@2/onnx")])

    found = read(plan.score_batch(build_records(VALUES[:1])))

    assert [it.topic for it in found] == ["out", "shadows"]
    assert found[1].value == {
        **found[0].value,
        "churn_probability": None,
        "prediction": None,
        "model_version": "m@2/onnx",
        "shadow_error": "ValueError",
    }


def test_a_shadow_that_fails_on_one_record_answers_all_others() -> None:
    plan = build_trial(CHAMPION, shadows=[build_shadow(raise_on_five, "m@2/onnx")])

    found = read(plan.score_batch(build_records(VALUES)))

    shadows = [it.value for it in found if it.topic == "shadows"]
    assert [it.get("shadow_error") for it in shadows] == [None] * 5 + ["KeyError", None, None]
    assert [it["churn_probability"] for it in shadows] == [0.7] * 5 + [None, 0.7, 0.7]
    assert "shadow_error" not in shadows[0]
    assert [it.value["churn_probability"] for it in found if it.topic == "out"] == [0.4] * 8


def test_reasons_of_a_record_without_a_shadows_answer_are_left_out() -> None:
    shadow = build_shadow(raise_on_five, "m@2/onnx", reason="tenure")

    found = read(build_trial(CHAMPION, shadows=[shadow]).score_batch(build_records(VALUES)))

    has_reasons = ["reasons" in it.value for it in found if it.topic == "shadows"]
    assert has_reasons == [True] * 5 + [False, True, True]


@pytest.mark.parametrize("wrong", [np.nan, -0.1, 1.1, np.inf])
def test_what_is_no_probability_is_an_error(wrong: float) -> None:
    plan = build_trial(CHAMPION, shadows=[build_shadow(give(wrong), "m@2/onnx")])

    found = read(plan.score_batch(build_records(VALUES[:1])))

    assert found[1].value["churn_probability"] is None
    assert found[1].value["shadow_error"] == "NoProbabilityError"


def test_a_shadow_that_gives_a_wrong_number_of_probabilities_has_errors() -> None:
    def give_two(features: Mapping[str, Any]) -> Any:
        return np.array([0.5, 0.5])

    plan = build_trial(CHAMPION, shadows=[build_shadow(give_two, "m@2/onnx")])

    found = read(plan.score_batch(build_records(VALUES[:1])))

    assert found[1].value["shadow_error"] == "ModelMismatchError"


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt, GeneratorExit])
def test_a_shadow_that_ends_its_thread_ends_nothing_else(kind: type[BaseException]) -> None:
    def leave(features: Mapping[str, Any]) -> Any:
        raise kind

    plan = build_trial(CHAMPION, shadows=[build_shadow(leave, "m@2/onnx")])

    for _ in range(2):  # the shadow rests the second time
        found = read(plan.score_batch(build_records(VALUES[:1])))
        assert found[0].value["model_version"] == "m@1/onnx"
        assert found[1].value["shadow_error"] == kind.__name__


def test_a_shadow_that_hangs_is_skipped_until_it_returns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shadow_thread, "OPENING_S", 0.2)
    monkeypatch.setattr(shadow_thread, "REST_S", 0.0)
    may_go_on = threading.Event()

    def hang(features: Mapping[str, Any]) -> Any:
        may_go_on.wait()
        return np.full(len(features["tenure"]), 0.7)

    shadows = [build_shadow(hang, "m@2/onnx"), build_shadow(give(0.6), "m@3/onnx")]
    monkeypatch.setattr("lib.stream.trial.batch_plan.LEAST_S", 0.2)
    plan = build_trial(CHAMPION, shadows=shadows)
    records = build_records(VALUES[:1])

    def score() -> tuple[float, list[Any]]:
        started_s = time.monotonic()
        found = read(plan.score_batch(records))
        assert found[0].value["model_version"] == "m@1/onnx"
        return time.monotonic() - started_s, [it.value.get("shadow_error") for it in found[1:]]

    first_s, first = score()
    second_s, second = score()
    may_go_on.set()
    found: list[Any] = []
    for _ in range(100):
        found = score()[1]
        if found == [None, None]:
            break
        time.sleep(0.05)

    assert first == second == ["TimeoutError", None]
    assert 0.2 <= first_s < 5
    assert second_s < 0.2
    # The thread was told to end when it took too long, and so had no scores.
    assert found == [None, None]


def test_a_shadow_that_was_too_slow_rests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shadow_thread, "OPENING_S", 0.1)
    monkeypatch.setattr("lib.stream.trial.batch_plan.LEAST_S", 0.1)
    calls = []

    def dawdle(features: Mapping[str, Any]) -> Any:
        calls.append(1)
        time.sleep(0.5)
        return np.full(len(features["tenure"]), 0.7)

    plan = build_trial(CHAMPION, shadows=[build_shadow(dawdle, "m@2/onnx")])
    records = build_records(VALUES[:1])
    plan.score_batch(records)
    time.sleep(0.6)  # the call has returned

    found = read(plan.score_batch(records))

    assert found[1].value["shadow_error"] == "TimeoutError"
    assert len(calls) == 1


def test_a_shadow_without_an_end_is_told_to_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shadow_thread, "OPENING_S", 0.1)

    def spin(features: Mapping[str, Any]) -> Any:
        while True:
            pass

    plan = build_trial(CHAMPION, shadows=[build_shadow(spin, "m@2/onnx")])
    found = read(plan.score_batch(build_records(VALUES[:1])))
    for _ in range(100):
        if not any(thread.name == "shadow" for thread in threading.enumerate()):
            break
        time.sleep(0.05)

    assert found[1].value["shadow_error"] == "TimeoutError"
    assert not any(thread.name == "shadow" for thread in threading.enumerate())


def test_messages_are_counted_by_model_and_by_agreement() -> None:
    def by_tenure(features: Mapping[str, Any]) -> Any:
        tenure = features["tenure"]
        return np.select([tenure == 0, tenure == 2, tenure == 6], [0.9, 0.1, np.nan], 0.9)

    plan = build_trial(
        build_plan(by_tenure, "m@1/onnx", is_counted=True),
        build_plan(give(0.4), "m@2/onnx", is_counted=True),
        shadows=[build_shadow(raise_on_five, "m@3/onnx", is_counted=True)],
    )
    # k1, k3 and k7 are the challenger's.
    values = [record(tenure=number) for number in (0, 5, 2, 4, 5, 5, 6, 5)]

    messages = plan.score_batch(build_records(values))

    assert messages.schema == COUNTED_SCHEMA
    found = read(messages)
    assert [it.outcome for it in found if it.topic == "out"] == [
        *("m@1/onnx\tYes", "m@2/onnx\tNo", "m@1/onnx\tNo", "m@2/onnx\tNo"),
        *("m@1/onnx\tYes", "m@1/onnx\tYes", "m@2/onnx\tNo"),
    ]
    assert [it.outcome for it in found if it.topic == "shadows"] == [
        "m@3/onnx\tagrees\tYes",
        "m@3/onnx\terror\tKeyError",
        "m@3/onnx\tdiffers\tYes",
        "m@3/onnx\talone\tYes",  # the challenger has answered
        "m@3/onnx\terror\tKeyError",
        "m@3/onnx\terror\tKeyError",
        "m@3/onnx\talone\tYes",  # the champion has failed
        "m@3/onnx\terror\tKeyError",
    ]
    # Each record is waited for once.
    times = [row["record_time_ms"] for row in messages.to_pylist() if row["topic"] == "shadows"]
    assert times == [None] * 8


def test_a_plan_of_several_models_gives_the_settings_of_the_champion() -> None:
    plan = build_trial(CHAMPION, build_plan(give(0.4), "m@2/onnx", 0.3))

    assert plan.settings == build_settings("m@1/onnx")


def test_a_plan_takes_batches_one_after_the_other() -> None:
    plan = build_trial(CHAMPION, shadows=[build_shadow(give(0.9), "m@2/onnx")])
    batches = [build_records(VALUES[:2]), build_records(VALUES[2:5])]

    assert [batch.num_rows for batch in plan(iter(batches))] == [4, 6]


def test_a_shadow_leaves_no_contents_of_records_anywhere() -> None:
    plan = build_trial(CHAMPION, shadows=[build_shadow(raise_on_all, "m@2/onnx")])

    values = plan.score_batch(build_records(VALUES[:1]))["value"].to_pylist()

    assert b"secret" not in values[1]
    assert json.loads(values[1])["customerID"] == "7590-VHVEG"
