"""Pairs each shadow's answer with the prediction of the same record. Pure.

Both have the same key, identifier, event time and time of scoring. Several records may share all
four; they are paired by their order, which the partition of their key keeps.
"""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from lib.tools.models.topics.answers import Answer, Record

_Place = tuple[Record, str]


class Pair(NamedTuple):
    """The answers of two models for one record, both with a probability."""

    first: Answer
    second: Answer


@dataclass
class Pairs:
    """The answers of two models for the same records.

    Attributes:
        pairs: the records that both have scored.
        failures: class of the exception → records that only the first one has scored.
        without_second: the predictions of the first model without an answer of the shadow, between
            the first and the last one that this shadow has given.
    """

    pairs: list[Pair] = field(default_factory=list)
    failures: Counter[str] = field(default_factory=Counter)
    without_second: int = 0


class _Shadow:
    """The answers of one shadow that wait for their predictions."""

    def __init__(self) -> None:
        self.waiting: dict[_Place, deque[Answer]] = defaultdict(deque)
        self.first, self.last = "", ""

    def add(self, answer: Answer) -> None:
        self.waiting[answer.record, answer.processed].append(answer)
        self.first = min(self.first or answer.processed, answer.processed)
        self.last = max(self.last, answer.processed)


class Pairing:
    """Pairs predictions, as they are read, with the answers of shadows.

    Args:
        answers: the answers of all shadows, in the order of each partition.
    """

    def __init__(self, answers: Iterable[Answer]) -> None:
        self._shadows: dict[str, _Shadow] = defaultdict(_Shadow)
        for answer in answers:
            self._shadows[answer.model].add(answer)
        self.found: dict[tuple[str, str], Pairs] = defaultdict(Pairs)
        """Model and shadow → their answers."""

    @property
    def shadows(self) -> list[str]:
        """The names of the shadows."""
        return sorted(self._shadows)

    @property
    def first(self) -> str:
        """The earliest time of scoring; empty if there is no answer."""
        return min((it.first for it in self._shadows.values()), default="")

    @property
    def last(self) -> str:
        """The latest time of scoring; empty if there is no answer."""
        return max((it.last for it in self._shadows.values()), default="")

    def add(self, prediction: Answer) -> None:
        """Pair a prediction with the answer of each shadow."""
        for name, shadow in self._shadows.items():
            if not shadow.first <= prediction.processed <= shadow.last:
                continue
            pairs = self.found[prediction.model, name]
            waiting = shadow.waiting.get((prediction.record, prediction.processed))
            if not waiting:
                pairs.without_second += 1
                continue
            answer = waiting.popleft()
            if answer.probability is None:
                pairs.failures[answer.error] += 1
            else:
                # One record serves both, which saves memory.
                pairs.pairs.append(Pair(prediction._replace(record=answer.record), answer))

    def count_alone(self, shadow: str) -> int:
        """Count the answers of a shadow whose prediction was not among those added."""
        return sum(map(len, self._shadows[shadow].waiting.values()))
