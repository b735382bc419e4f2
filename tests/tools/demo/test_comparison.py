"""The comparison finds every difference."""

from __future__ import annotations

import pytest

from lib.tools.demo.comparison import SentRecords
from lib.tools.produce.mixture import Message


@pytest.fixture
def sent() -> SentRecords:
    sent = SentRecords()
    sent.note(Message(b"valid-1", b"{}", None))
    sent.note(Message(b"valid-2", b"{}", None))
    sent.note(Message(b"broken-1", b"[", "not JSON"))
    sent.note(Message(b"broken-2", None, "null value"))
    return sent


PREDICTIONS = [b"valid-1", b"valid-2"]
DEAD_LETTERS = [(b"broken-1", b"["), (b"broken-2", None)]


def test_every_record_once_in_its_place_is_complete(sent: SentRecords) -> None:
    comparison = sent.compare(PREDICTIONS, DEAD_LETTERS)

    assert comparison.is_complete
    assert (comparison.sent, comparison.predictions, comparison.dead_letters) == (4, 2, 2)


@pytest.mark.parametrize(
    ("predictions", "dead_letters", "problem"),
    [
        (PREDICTIONS[:1], DEAD_LETTERS, "records that never came back: 1 (valid-2)"),
        (PREDICTIONS, DEAD_LETTERS[:1], "records that never came back: 1 (broken-2)"),
        (
            [*PREDICTIONS, b"valid-1"],
            DEAD_LETTERS,
            "records that came back more than once: 1 (valid-1)",
        ),
        (
            PREDICTIONS,
            DEAD_LETTERS * 2,
            "records that came back more than once: 2 (broken-1, broken-2)",
        ),
        ([*PREDICTIONS, b"else"], DEAD_LETTERS, "records that were never sent: 1 (else)"),
        ([*PREDICTIONS, None], DEAD_LETTERS, "records that were never sent: 1 (no key)"),
        (
            PREDICTIONS[:1],
            [*DEAD_LETTERS, (b"valid-2", b"{}")],
            "valid records that became dead letters: 1 (valid-2)",
        ),
        (
            [*PREDICTIONS, b"broken-1"],
            DEAD_LETTERS[1:],
            "broken records that were scored: 1 (broken-1)",
        ),
        (
            PREDICTIONS,
            [(b"broken-1", b"("), DEAD_LETTERS[1]],
            "dead letters with other bytes than were sent: 1 (broken-1)",
        ),
        (
            PREDICTIONS,
            [DEAD_LETTERS[0], (b"broken-2", b"")],
            "dead letters with other bytes than were sent: 1 (broken-2)",
        ),
    ],
)
def test_a_single_fault_is_found(
    sent: SentRecords,
    predictions: list[bytes | None],
    dead_letters: list[tuple[bytes | None, bytes | None]],
    problem: str,
) -> None:
    assert sent.compare(predictions, dead_letters).problems == (problem,)


def test_a_loss_is_found_even_if_a_duplicate_makes_up_for_it(sent: SentRecords) -> None:
    comparison = sent.compare([b"valid-1", b"valid-1"], DEAD_LETTERS)

    assert comparison.sent == comparison.predictions + comparison.dead_letters
    assert len(comparison.problems) == 2
