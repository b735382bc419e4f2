from __future__ import annotations

import threading
from contextlib import suppress

import pytest

from lib.bounded import StuckError, run_bounded


def test_the_result_comes_back() -> None:
    assert run_bounded(lambda: 42, timeout_s=5, what="call") == 42


def test_an_exception_comes_back() -> None:
    def fail() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        run_bounded(fail, timeout_s=5, what="call")


def test_a_wait_that_is_given_up_ends() -> None:
    release, given_up = threading.Event(), threading.Event()
    threading.Timer(0.1, given_up.set).start()
    with pytest.raises(StuckError, match="call was given up"):
        run_bounded(release.wait, timeout_s=60, what="call", given_up=given_up)
    release.set()


def test_a_call_that_hangs_is_left_behind() -> None:
    release = threading.Event()
    with pytest.raises(StuckError, match=r"call did not return within 0\.05 s"):
        run_bounded(release.wait, timeout_s=0.05, what="call")
    release.set()


def test_a_thread_that_was_left_behind_cleans_up_when_its_call_returns() -> None:
    release, cleaned = threading.Event(), threading.Event()
    with pytest.raises(StuckError):
        run_bounded(release.wait, timeout_s=0.05, what="call", clean_up=cleaned.set)
    assert not cleaned.is_set()
    release.set()

    assert cleaned.wait(60)


@pytest.mark.parametrize("error", [None, ValueError("no")])
def test_what_is_used_on_is_not_cleaned_up(error: Exception | None) -> None:
    cleaned = threading.Event()

    def call() -> None:
        if error is not None:
            raise error

    with suppress(ValueError):
        run_bounded(call, timeout_s=60, what="call", clean_up=cleaned.set)

    assert not cleaned.is_set()
