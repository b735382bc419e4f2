"""Order the runs of rounds, and compute a figure's median and range over them.

This module is pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, TypeVar

NOTHING = "–"

Item = TypeVar("Item")


@dataclass(frozen=True)
class Spread:
    """A figure over the rounds: median, smallest and largest."""

    median: float
    low: float
    high: float

    @classmethod
    def over(cls, values: Iterable[float | None]) -> Spread | None:
        """Compute the spread of the known values; return None without any."""
        known = [value for value in values if value is not None]
        return cls(median(known), min(known), max(known)) if known else None

    @classmethod
    def over_ratios(cls, pairs: Iterable[tuple[float | None, float | None]]) -> Spread | None:
        """Compute the spread of the ratios of pairs that were measured in the same round.

        A slow machine slows both of a pair, so a ratio says more than either. A pair of which one
        is unknown or the second is 0 has no ratio.
        """
        return cls.over(one / other for one, other in pairs if one is not None and other)


def take_turns(contestants: Sequence[Item], rounds: int) -> Iterator[tuple[int, Item]]:
    """Yield each contestant of each round, with the round's number from 1.

    Every second round has the reverse order, so that none always follows the same one.
    """
    for number in range(1, rounds + 1):
        for contestant in contestants if number % 2 else reversed(contestants):
            yield number, contestant


def show(spread: Spread | None, form: str, unit: str = "") -> str:
    """Write a spread as ``median (lowest–highest)``, or only the median where all are alike.

    Args:
        spread: the figure; None is written as a dash.
        form: the form of each number, as ``format`` takes it.
        unit: the unit behind the numbers.
    """
    if spread is None:
        return NOTHING
    median, low, high = (format(it, form) for it in (spread.median, spread.low, spread.high))
    return f"{median}{unit}" if low == high else f"{median} ({low}–{high}){unit}"


def restore(kind: type[Item], row: Mapping[str, Any]) -> Item:
    """Build a row, a dataclass, from what a stored report has of it."""
    return kind(**{name: Spread(**it) if isinstance(it, dict) else it for name, it in row.items()})
