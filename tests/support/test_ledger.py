"""The ledger finds every kind of fault, each in a stream of answers that is otherwise right."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest

from lib.decode.engines.python import decode_value
from lib.messages.dead_letter import HEADER_OFFSET, HEADER_PARTITION
from lib.synth import FAULTS
from tests.support.champions import Champions
from tests.support.ledger import Fault, Ledger, Rivals
from tests.support.numbered import BROKEN_PERIOD, NumberedRecords, is_broken, read_event_time
from tests.support.telco import CUSTOMER

RECORDS = NumberedRecords(pool_size=10, seed=3)
PROBABILITIES = {
    "churn@1/spark": [place / 10 for place in range(10)],
    "churn@2/spark": [place / 20 for place in range(10)],
}
COUNT = 200


@dataclass(frozen=True)
class Answer:
    """A message of the output topic or of the dead-letter topic."""

    is_prediction: bool
    key: bytes
    value: bytes | None
    source_offset: int


def feed(ledger: Ledger) -> list[Answer]:
    """Expect some records and return the right answers, in the right order."""
    return [answer(number, *ledger.expect(number % 7)) for number in range(COUNT)]


def answer(number: int, key: bytes, value: bytes | None) -> Answer:
    if is_broken(number):
        return Answer(False, key, value, number)
    place = int(key[1:]) % 10
    return Answer(True, key, prediction(key, number, place / 10), number)


def prediction(key: bytes, number: int, probability: float, model: str = "churn@1") -> bytes:
    return json.dumps(
        {
            "customerID": key.decode(),
            "churn_probability": probability,
            "prediction": "No",
            "event_ts": f"2026-01-01T00:00:00.{number:09d}Z",
            "processed_ts": "2026-01-01T00:00:00.000Z",
            "model_version": f"{model}/spark",
        }
    ).encode()


def note(ledger: Ledger, answers: list[Answer]) -> None:
    for it in answers:
        if it.is_prediction:
            ledger.note_prediction(it.key, it.value)
        else:
            position = {HEADER_PARTITION: b"0", HEADER_OFFSET: b"%d" % it.source_offset}
            ledger.note_dead_letter(it.key, it.value, list(position.items()))


VALID, BROKEN = 21, 25  # the numbers of a valid and a broken record
SAME_KEY_LATER = VALID + 7


def lose(answers: list[Answer]) -> None:
    del answers[VALID]


def lose_dead_letter(answers: list[Answer]) -> None:
    del answers[BROKEN]


def repeat(answers: list[Answer]) -> None:
    answers.insert(VALID, answers[VALID])


def repeat_later(answers: list[Answer]) -> None:
    answers.append(answers[VALID])


def repeat_dead_letter(answers: list[Answer]) -> None:
    answers.insert(BROKEN, answers[BROKEN])


def swap(answers: list[Answer]) -> None:
    answers[VALID], answers[SAME_KEY_LATER] = answers[SAME_KEY_LATER], answers[VALID]


def swap_dead_letters(answers: list[Answer]) -> None:
    later = BROKEN + BROKEN_PERIOD
    answers[BROKEN], answers[later] = answers[later], answers[BROKEN]


def give_both(answers: list[Answer]) -> None:
    key, value = RECORDS.valid(VALID, VALID % 7)
    answers.append(Answer(False, key, value, COUNT))


def change_probability(answers: list[Answer]) -> None:
    it = answers[VALID]
    answers[VALID] = replace(it, value=prediction(it.key, VALID, (VALID % 7) / 10 + 0.000001))


def name_other_model(answers: list[Answer]) -> None:
    it = answers[22]
    answers[22] = replace(it, value=prediction(it.key, 22, 0.1, model="churn@2"))


def name_unknown_model(answers: list[Answer]) -> None:
    it = answers[VALID]
    answers[VALID] = replace(it, value=prediction(it.key, VALID, 0.0, model="churn@9"))


def alter_bytes(answers: list[Answer]) -> None:
    answers[BROKEN] = replace(answers[BROKEN], value=b"something else")


def answer_what_nobody_sent(answers: list[Answer]) -> None:
    answers.append(Answer(True, b"C000001", prediction(b"C000001", COUNT, 0.1), 0))


def answer_another_customer(answers: list[Answer]) -> None:
    answers.append(Answer(True, b"C000001", prediction(b"C000001", VALID, 0.1), 0))


def write_no_json(answers: list[Answer]) -> None:
    answers.append(Answer(True, b"C000001", b"{", 0))


def bury_what_nobody_sent(answers: list[Answer]) -> None:
    answers.append(Answer(False, b"broken-%09d" % COUNT, None, COUNT))


def score_broken(answers: list[Answer]) -> None:
    answers.append(Answer(True, b"C000004", prediction(b"C000004", BROKEN, 0.4), 0))


@pytest.mark.parametrize(
    ("change", "faults"),
    [
        (lose, {Fault.MISSING}),
        (lose_dead_letter, {Fault.MISSING}),
        (repeat, {Fault.DUPLICATED}),
        (repeat_later, {Fault.DUPLICATED, Fault.REORDERED}),
        (repeat_dead_letter, {Fault.DUPLICATED}),
        (swap, {Fault.REORDERED}),
        (swap_dead_letters, {Fault.REORDERED}),
        (give_both, {Fault.BOTH, Fault.UNEXPECTED}),
        (change_probability, {Fault.DIFFERING}),
        (name_other_model, {Fault.DIFFERING}),
        (name_unknown_model, {Fault.DIFFERING}),
        (alter_bytes, {Fault.ALTERED}),
        (answer_what_nobody_sent, {Fault.UNEXPECTED}),
        (answer_another_customer, {Fault.UNEXPECTED}),
        (write_no_json, {Fault.UNEXPECTED}),
        (bury_what_nobody_sent, {Fault.UNEXPECTED}),
        (score_broken, {Fault.UNEXPECTED}),
    ],
)
def test_one_fault_among_right_answers_is_found(
    change: Callable[[list[Answer]], None], faults: set[Fault]
) -> None:
    ledger = Ledger(RECORDS, PROBABILITIES)
    answers = feed(ledger)

    change(answers)
    note(ledger, answers)

    account = ledger.examine()
    assert dict(account.counts) == dict.fromkeys(faults, 1)
    assert account.examples.keys() == faults


def test_right_answers_have_no_fault() -> None:
    ledger = Ledger(RECORDS, PROBABILITIES)
    note(ledger, feed(ledger))

    assert ledger.examine().counts == {}
    assert ledger.answered == ledger.expected == COUNT


def test_each_model_is_held_to_its_own_probabilities() -> None:
    ledger = Ledger(RECORDS, PROBABILITIES)
    key, _ = ledger.expect(6)

    ledger.note_prediction(key, prediction(key, 0, 0.3, model="churn@2"))

    assert ledger.examine().counts == {}
    assert ledger.model_versions == {"churn@2/spark": 1}


def test_a_blank_copy_expects_the_same_and_has_no_answer() -> None:
    ledger = Ledger(RECORDS, PROBABILITIES)
    answers = feed(ledger)
    note(ledger, answers)

    blank = ledger.blank()

    assert blank.examine().counts == {Fault.MISSING: COUNT}
    note(blank, answers)
    assert blank.examine().counts == {}


def test_what_is_aborted_is_not_missing_and_may_not_be_answered() -> None:
    ledger = Ledger(RECORDS, PROBABILITIES)
    answers = feed(ledger)
    # The numbers are 200 to 249; the record with number 225 is a broken one.
    aborted = [answer(COUNT + it, *ledger.expect_none(it % 7)) for it in range(BROKEN_PERIOD)]
    answers.append(answer(COUNT + BROKEN_PERIOD, *ledger.expect(3)))
    note(ledger, answers)

    assert ledger.examine().counts == {}
    assert ledger.answered == ledger.expected == COUNT + 1

    blank = ledger.blank()
    note(blank, [*answers, *aborted])
    assert blank.examine().counts == {Fault.UNEXPECTED: BROKEN_PERIOD}
    assert blank.answered == COUNT + 1


def test_only_records_that_are_to_be_broken_break_the_contract() -> None:
    ledger = Ledger(RECORDS, PROBABILITIES)
    for number in range(3_000):
        _, value = ledger.expect(number % 7)
        assert decode_value(value, CUSTOMER).is_valid != is_broken(number)
        if not is_broken(number):
            assert read_event_time(value or b"") == number


def test_every_kind_of_broken_record_comes() -> None:
    kinds = {
        RECORDS.broken(number)[1]
        for number in range(BROKEN_PERIOD // 2, BROKEN_PERIOD * len(FAULTS), BROKEN_PERIOD)
    }

    assert len(kinds) == len(FAULTS)
    assert None in kinds
    assert max(len(value or b"") for value in kinds) == 900_000


def test_every_record_of_a_flood_is_broken_and_none_is_large() -> None:
    ledger = Ledger(RECORDS, PROBABILITIES)
    for _ in range(BROKEN_PERIOD // 2):
        key, value = ledger.expect_broken()
        assert key.startswith(b"broken-")
        assert not decode_value(value, CUSTOMER).is_valid
        assert len(value or b"") < 10_000
        note(ledger, [Answer(False, key, value, ledger.answered)])

    assert ledger.examine().counts == {}
    assert ledger.answered == ledger.expected == BROKEN_PERIOD // 2


# For these of the keys C000000 to C000009, Spark's pmod(hash(key), 1000000) is below 500000.
LOW = [b"C000000", b"C000001", b"C000002", b"C000003", b"C000004", b"C000008", b"C000009"]


@pytest.mark.parametrize("key", range(10))
def test_the_challenger_answers_its_keys_and_no_others(key: int) -> None:
    rivals = Rivals("churn@2/spark", "churn@3/spark", 0.5)
    for model, probability in (("churn@1", key / 10), ("churn@2", key / 20)):
        ledger = Ledger(RECORDS, PROBABILITIES, rivals=rivals)
        name, _ = ledger.expect(key)
        ledger.note_prediction(name, prediction(name, 0, probability, model=model))
        is_right = (name in LOW) == (model == "churn@2")
        assert ledger.examine().counts == ({} if is_right else {Fault.MISROUTED: 1})


def test_a_version_that_is_no_champion_is_found() -> None:
    champions = Champions("churn@1")
    ledger = Ledger(RECORDS, PROBABILITIES, champions)
    first, second = (ledger.expect(6)[0] for _ in range(2))
    champions.promote("churn@2", 10.0)

    ledger.note_prediction(first, prediction(first, 0, 0.3, model="churn@2"), at_s=11.0)
    ledger.note_prediction(second, prediction(second, 1, 0.6), at_s=12.0)

    assert ledger.examine().counts == {Fault.UNPROMOTED: 1}
    assert ledger.blank().champions is not champions
    assert ledger.count_answers("churn@2") == 1


def test_shadows_answer_once_in_order_with_their_own_probabilities() -> None:
    rivals = Rivals("churn@9/spark", "churn@2/spark", 0.000001)
    ledger = Ledger(RECORDS, PROBABILITIES, rivals=rivals)
    names = [ledger.expect(6)[0] for _ in range(5)]
    for number, name in enumerate(names):
        ledger.note_prediction(name, prediction(name, number, 0.6))

    def shadow(number: int, probability: float = 0.3, model: str = "churn@2") -> None:
        name = names[number]
        ledger.note_shadow(name, prediction(name, number, probability, model=model))

    shadow(0)
    shadow(2)
    assert ledger.examine().counts == {}
    assert (ledger.shadows, ledger.unshadowed) == (2, 3)
    shadow(1)
    shadow(2)
    shadow(3, 0.31)
    ledger.note_shadow(names[4], prediction(names[4], 77, 0.3, model="churn@2"))
    ledger.note_shadow(b"broken-000000000", b"{}")

    assert ledger.examine().counts == {
        Fault.REORDERED: 1,
        Fault.DUPLICATED: 1,
        Fault.DIFFERING: 1,
        Fault.UNEXPECTED: 2,
    }
