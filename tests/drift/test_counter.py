from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest

from lib.drift.bins import BinKind, Bins
from lib.drift.counter import WindowCounter, WindowLimits
from lib.drift.profile import Binning, Profile

PROFILE = Profile(
    4,
    (Bins("a", BinKind.NUMBER, (0.5,), counts=(2, 2, 0)),),
    Bins("(score)", BinKind.NUMBER, (0.5,), counts=(1, 3, 0)),
)
OTHER = Profile(4, (), Bins("(score)", BinKind.NUMBER, (0.5,), counts=(1, 3, 0)))
FIRST, SECOND = Binning(10, "m@1/onnx", PROFILE), Binning(10, "m@2/onnx", OTHER)


def key_of(binning: Binning) -> str:
    assert binning.profile is not None
    return binning.profile.make_key(binning.model_version).hex()


def make_counter(records: int = 1_000, seconds: float = 3_600) -> WindowCounter:
    counter = WindowCounter(WindowLimits(records, seconds))
    counter.expect(FIRST)
    counter.expect(SECOND)
    return counter


def add(
    counter: WindowCounter,
    count: int,
    *,
    binning: Binning = FIRST,
    end: int = 0,
    at_s: float = 0.0,
    refused: dict[str, int] | None = None,
) -> list[tuple[int, str, int]]:
    quantities = 2 if binning is FIRST else 1
    closed = counter.add(
        {key_of(binning): ((count,),) * quantities} if count else {},
        {binning.model_version: 10 * count},
        refused or {},
        {0: end},
        at_s,
    )
    return [(it.number, it.model_version, it.records) for it in closed]


def test_a_window_closes_with_its_records_or_its_time() -> None:
    counter = make_counter()

    assert add(counter, 999) == []
    assert add(counter, 2) == [(1, "m@1/onnx", 1_001)]
    assert add(counter, 600, at_s=10) == []
    assert add(counter, 0, at_s=3_609) == []
    assert add(counter, 1, at_s=3_610) == [(2, "m@1/onnx", 601)]


def test_an_old_window_of_too_few_records_goes_on() -> None:
    counter = make_counter()

    assert add(counter, 400) == []
    assert add(counter, 99, at_s=90_000) == []
    assert add(counter, 1, at_s=90_001) == [(1, "m@1/onnx", 500)]


def test_another_version_closes_the_window_whoever_tells_of_it() -> None:
    counter = make_counter()

    assert add(counter, 700) == []
    assert add(counter, 5, binning=SECOND) == [(1, "m@1/onnx", 700)]
    # A batch that was begun before is repeated by the first version.
    assert add(counter, 6) == [(2, "m@2/onnx", 5)]
    assert counter.window is not None
    assert counter.window.counts == [[6, 0, 0], [6, 0, 0]]


def test_bins_of_a_model_that_is_not_expected_are_not_counted() -> None:
    counter = make_counter()
    add(counter, 10)

    counter.add({"00000000": ((9,), (9,))}, {"other@1/onnx": 9}, {"a": 2}, {0: 5}, 1.0)

    assert counter.window is not None
    assert (counter.window.records, counter.window.predictions) == (10, 100)
    assert counter.window.refused == Counter({"a": 2})


def test_records_are_counted_once_across_a_restart() -> None:
    counter = make_counter()
    add(counter, 300, end=100, refused={"a": 7, "": 1})
    state: dict[str, Any] = json.loads(json.dumps(counter.to_json()))
    add(counter, 50, end=120)  # this was committed, but the process is killed before it is saved

    again = make_counter()
    assert again.resume(state, {0: 120})
    add(again, 200, end=150)

    assert again.window is not None
    assert again.window.records == 500
    assert again.window.answered == 5_008
    assert again.window.refused == Counter({"a": 7, "": 1})


@pytest.mark.parametrize("positions", [{0: 99}, {0: None}, {}], ids=["back", "none", "new"])
def test_counts_of_records_that_will_be_answered_again_are_dropped(
    positions: dict[int, int | None],
) -> None:
    counter = make_counter()
    add(counter, 1_000, end=90)
    add(counter, 300, end=100)

    again = make_counter()
    assert not again.resume(counter.to_json(), positions)
    assert again.window is None
    # Closed windows keep their numbers.
    assert add(again, 1_000, end=200) == [(3, "m@1/onnx", 1_000)]


def test_a_state_that_is_none_is_refused() -> None:
    for state in ({}, {"through": [], "number": 1, "window": None}, {"through": {}, "number": "x"}):
        with pytest.raises((KeyError, TypeError, ValueError, AttributeError)):
            make_counter().resume(state, {})
