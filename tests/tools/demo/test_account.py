"""The account finds whatever does not add up."""

from __future__ import annotations

import pytest

from lib.tools.demo.account import Account, find_quantile
from lib.tools.produce.mixture import Message


@pytest.fixture
def account() -> Account:
    account = Account()
    account.note(Message(b"valid-1", b"{}", None))
    account.note(Message(b"valid-2", b"{}", None))
    account.note(Message(b"broken-1", b"[", "not JSON"))
    account.note(Message(b"broken-2", None, "null value"))
    return account


PREDICTIONS = [b"valid-1", b"valid-2"]
DEAD_LETTERS = [(b"broken-1", b"["), (b"broken-2", None)]


def test_every_record_once_in_its_place_is_even(account: Account) -> None:
    balance = account.balance(PREDICTIONS, DEAD_LETTERS)

    assert balance.is_even
    assert (balance.sent, balance.predictions, balance.dead_letters) == (4, 2, 2)


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
    account: Account,
    predictions: list[bytes | None],
    dead_letters: list[tuple[bytes | None, bytes | None]],
    problem: str,
) -> None:
    assert account.balance(predictions, dead_letters).problems == (problem,)


def test_a_loss_is_found_even_if_a_duplicate_makes_up_for_it(account: Account) -> None:
    balance = account.balance([b"valid-1", b"valid-1"], DEAD_LETTERS)

    assert balance.sent == balance.predictions + balance.dead_letters
    assert len(balance.problems) == 2


@pytest.mark.parametrize(("share", "expected"), [(0.5, 50), (0.99, 99), (1.0, 100), (0.001, 1)])
def test_quantiles_are_nearest_ranks(share: float, expected: float) -> None:
    assert find_quantile(range(100, 0, -1), share) == expected


def test_the_quantile_of_one_value_is_that_value() -> None:
    assert find_quantile([7.0], 0.99) == 7.0
