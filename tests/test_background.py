from __future__ import annotations

import threading

import pytest

from lib.background import Background


class Counting(Background):
    """A task that counts until it is told to stop, or raises at a number."""

    def __init__(self, fails_at: int | None = None) -> None:
        super().__init__("counting")
        self.count = 0
        self._fails_at = fails_at

    def _run(self) -> None:
        while not self._stopped.wait(0.001):
            self.count += 1
            if self.count == self._fails_at:
                raise OverflowError(f"at {self.count}")


def test_it_runs_as_long_as_the_block() -> None:
    with Counting() as counting:
        assert "counting" in {thread.name for thread in threading.enumerate()}
        assert counting.wait_for(lambda: counting.count > 3, timeout_s=60)
        counting.check()
    ended_at = counting.count
    assert "counting" not in {thread.name for thread in threading.enumerate()}
    assert counting.count == ended_at


def test_what_does_not_come_is_waited_for_no_longer_than_that() -> None:
    with Counting() as counting:
        assert not counting.wait_for(lambda: False, timeout_s=0.05)


def test_what_ended_it_is_raised_where_somebody_looks() -> None:
    with Counting(fails_at=2) as counting:
        with pytest.raises(OverflowError, match="at 2"):
            counting.wait_for(lambda: False, timeout_s=60)
        with pytest.raises(OverflowError, match="at 2"):
            counting.check()
