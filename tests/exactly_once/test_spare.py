"""A batch that fails is repeated without messages that may be left out, if these may be why."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from lib.errors import (
    QueryFailedError,
    ScoringError,
    SinkFencedError,
    SinkRejectedError,
    SinkRetryExhaustedError,
    WorkerError,
)
from lib.exactly_once import spare
from lib.exactly_once.commit.base import Batch
from lib.exactly_once.spare import SpareWriting
from lib.exactly_once.transaction.writer import WriteReport


class Maker:
    """A function that makes messages, perhaps with another one that makes fewer."""

    def __init__(self, other: Maker | None = None) -> None:
        self.spare = other

    def __call__(self, batches: Any) -> Any:
        raise AssertionError("tasks call it")


FEW = Maker()
ALL = Maker(FEW)


@dataclass
class Sink:
    """Writes batches, and fails with the given errors first.

    Attributes:
        failures: the errors of the next writes; None for a success.
        written: (batch, its function, whether it is repeated) of each write.
        may_repeat: whether a batch may be repeated at once.
        forgiven: the number of times that a refusal was forgiven.
    """

    failures: list[Exception | None] = field(default_factory=list)
    written: list[tuple[int, Maker, bool]] = field(default_factory=list)
    may_repeat: bool = True
    forgiven: int = 0

    def __post_init__(self) -> None:
        self.spare = SpareWriting(lambda: self.may_repeat, self.forgive)

    def forgive(self) -> None:
        self.forgiven += 1

    def write(self, number: int, function: Maker = ALL, *, is_suspect: bool = False) -> bool:
        """Write a batch; return whether messages were left out."""
        nothing = cast(Any, None)
        batch = Batch(nothing, number, "query", {}, {}, nothing, is_suspect, function)
        return self.spare.write(batch, self._write).is_spare

    def _write(self, batch: Batch) -> WriteReport:
        self.written.append((batch.batch_id, cast(Maker, batch.map_in_arrow), batch.is_repeated))
        failure = self.failures.pop(0) if self.failures else None
        if failure is not None:
            raise failure
        return WriteReport(batch.batch_id, {}, {}, 0.0)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Provide a clock that a test sets."""
    now = [1_000.0]
    monkeypatch.setattr(spare, "time", SimpleNamespace(monotonic=lambda: now[0]))
    return now


def test_a_batch_that_succeeds_has_all_messages(clock: list[float]) -> None:
    sink = Sink()

    assert not sink.write(1)
    assert sink.written == [(1, ALL, False)]


@pytest.mark.parametrize("kind", [QueryFailedError, WorkerError, SinkRejectedError])
def test_a_batch_that_fails_is_repeated_at_once(
    clock: list[float], kind: type[ScoringError]
) -> None:
    sink = Sink([kind("the worker has ended")])

    assert sink.write(1)
    assert sink.written == [(1, ALL, False), (1, FEW, True)]
    assert sink.forgiven == (kind is SinkRejectedError)


@pytest.mark.parametrize("kind", [SinkRetryExhaustedError, SinkFencedError])
def test_what_has_another_cause_is_raised(clock: list[float], kind: type[ScoringError]) -> None:
    sink = Sink([kind("no broker")])

    with pytest.raises(kind):
        sink.write(1)
    assert not sink.write(1)
    assert sink.written == [(1, ALL, False)] * 2


def test_a_batch_that_fails_without_them_too_is_raised(clock: list[float]) -> None:
    sink = Sink([QueryFailedError("first"), QueryFailedError("second")])

    with pytest.raises(QueryFailedError, match="second"):
        sink.write(1)


def test_a_query_that_is_ended_repeats_nothing(clock: list[float]) -> None:
    sink = Sink([QueryFailedError("interrupted")], may_repeat=False)

    with pytest.raises(QueryFailedError):
        sink.write(1)
    assert sink.written == [(1, ALL, False)]


def test_a_batch_that_was_interrupted_is_written_without_them(clock: list[float]) -> None:
    sink = Sink([QueryFailedError("interrupted")], may_repeat=False)
    with pytest.raises(QueryFailedError):
        sink.write(7)

    assert sink.write(7)
    assert sink.written[-1] == (7, FEW, False)


def test_a_batch_that_ended_other_runs_is_written_without_them(clock: list[float]) -> None:
    sink = Sink()

    assert sink.write(1, is_suspect=True)
    assert sink.written == [(1, FEW, False)]


def test_after_a_failure_they_rest_for_a_minute(clock: list[float]) -> None:
    sink = Sink([QueryFailedError("the worker has ended")])
    sink.write(1)

    clock[0] += 59
    assert sink.write(2)
    clock[0] += 1
    assert not sink.write(3)


def test_they_rest_longer_with_each_failure_until_a_batch_succeeds(clock: list[float]) -> None:
    ended = QueryFailedError("the worker has ended")
    sink = Sink([ended, None, ended])
    sink.write(1)
    clock[0] += 60
    sink.write(2)

    clock[0] += 119
    assert sink.write(3)
    clock[0] += 1
    assert not sink.write(4)

    sink.failures = [ended]
    sink.write(5)
    clock[0] += 60
    assert not sink.write(6)


def test_the_longest_rest_is_an_hour(clock: list[float]) -> None:
    sink = Sink()
    for number in range(20):
        sink.failures = [QueryFailedError("the worker has ended")]
        assert sink.write(number)
        clock[0] += 3_600


def test_a_function_without_another_is_left_alone(clock: list[float]) -> None:
    sink = Sink([QueryFailedError("the worker has ended")])

    with pytest.raises(QueryFailedError):
        sink.write(1, FEW)
    assert sink.written == [(1, FEW, False)]


def test_a_report_of_parts_says_whether_one_of_them_lacks_messages() -> None:
    whole = WriteReport(1, {}, {}, 0.0)

    assert not whole.add(whole).is_spare
    assert whole.add(replace(whole, is_spare=True)).is_spare
