"""Divides the values of one feature, or the scores, into bins. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from itertools import pairwise

import numpy as np
import numpy.typing as npt

Places = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float64]

#: Numbers are divided at quantiles into so many bins, as far as they have so many values.
QUANTILES = 10
#: Texts and categories of more values share a bin for the rarer ones; a bin's number is one byte.
MAX_VALUES = 100
#: The number of bytes of the key that stands before the bins of a record.
KEY_BYTES = 4


class BinKind(StrEnum):
    """The kinds of bins."""

    NUMBER = "number"  # between edges
    BOOLEAN = "boolean"  # false and true
    VALUE = "value"  # one of some texts, or another one
    LENGTH = "length"  # the number of a text's characters, between edges


@dataclass(frozen=True)
class Bins:
    """The bins of one feature, and how many rows of the training data are in each.

    The last bin is for missing values, and of :attr:`BinKind.VALUE` the one before it for all
    values that are not listed.

    Attributes:
        name: the name of the feature.
        kind: the kind of the bins.
        edges: the upper ends of all bins of numbers but the highest; a number that equals an edge
            is below it.
        values: the texts that have a bin of their own.
        counts: the number of rows in each bin.
    """

    name: str
    kind: BinKind
    edges: tuple[float, ...] = ()
    values: tuple[str, ...] = ()
    counts: tuple[int, ...] = ()

    @property
    def size(self) -> int:
        """The number of bins, at most 256."""
        is_value = self.kind is BinKind.VALUE
        return (len(self.values) if is_value else len(self.edges)) + 2

    @property
    def missing(self) -> int:
        """The place of the bin for missing values."""
        return self.size - 1

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """A phrase for each bin."""
        if self.kind is BinKind.VALUE:
            return (*self.values, "other", "null")
        if self.kind is BinKind.BOOLEAN:
            return ("false", "true", "null")
        if not self.edges:
            return ("any", "null")
        texts = [f"{edge:.4g}" for edge in self.edges]
        between = [f"{low} – {high}" for low, high in pairwise(texts)]
        return (f"≤ {texts[0]}", *between, f"> {texts[-1]}", "null")

    def place_numbers(self, numbers: Floats) -> Places:
        """Find the bin of each number: [n]; NaN is missing."""
        places = np.searchsorted(self._edges, numbers).astype(np.uint8)
        is_missing = np.isnan(numbers)
        if is_missing.any():
            places[is_missing] = self.missing
        return places

    def place_texts(self, texts: Iterable[str | None]) -> Places:
        """Find the bin of each text: [n]; None is missing."""
        if self.kind is BinKind.LENGTH:
            lengths = [np.nan if text is None else len(text) for text in texts]
            return self.place_numbers(np.array(lengths, np.float64))
        find, other = self._by_value.get, len(self.values)
        return np.array([find(text, other) for text in texts], np.uint8)

    @cached_property
    def _edges(self) -> Floats:
        return np.array(self.edges, np.float64)

    @cached_property
    def _by_value(self) -> dict[str | None, int]:
        return {None: self.missing, **{value: at for at, value in enumerate(self.values)}}


def count_places(places: Places, size: int) -> tuple[int, ...]:
    """Count how many values are in each bin."""
    return tuple(np.bincount(places, minlength=size).tolist())


def divide_numbers(name: str, numbers: Floats, kind: BinKind = BinKind.NUMBER) -> Bins:
    """Divide numbers at their quantiles; NaN is missing.

    An edge lies midway between two neighbouring values, so that one engine's rounding moves no
    value into another bin. A value that several quantiles fall on gets a bin of its own.
    """
    bins = Bins(name, kind, _find_edges(numbers[~np.isnan(numbers)]))
    return _count(bins, bins.place_numbers(numbers))


def divide_booleans(name: str, numbers: Floats) -> Bins:
    """Divide booleans in the model's form: 0, 1 and NaN."""
    bins = Bins(name, BinKind.BOOLEAN, (0.5,))
    return _count(bins, bins.place_numbers(numbers))


def divide_texts(name: str, texts: Sequence[str | None], allowed: Sequence[str] = ()) -> Bins:
    """Divide texts by value, or by length where they have many values.

    Args:
        name: the name of the feature.
        texts: the texts; None is missing.
        allowed: the values of a category; empty for other texts.
    """
    frequencies = Counter(text for text in texts if text is not None)
    if not allowed and len(frequencies) > MAX_VALUES:
        lengths = np.array([np.nan if text is None else len(text) for text in texts], np.float64)
        return divide_numbers(name, lengths, BinKind.LENGTH)
    values = allowed or sorted(frequencies)
    if len(values) > MAX_VALUES:
        values = sorted(values, key=lambda value: -frequencies[value])[:MAX_VALUES]
    bins = Bins(name, BinKind.VALUE, values=tuple(values))
    return _count(bins, bins.place_texts(texts))


def _count(bins: Bins, places: Places) -> Bins:
    counts = count_places(places, bins.size)
    return Bins(bins.name, bins.kind, bins.edges, bins.values, counts)


def _find_edges(numbers: Floats) -> tuple[float, ...]:
    values = np.unique(numbers)
    if len(values) < 2:
        # Smaller and larger numbers than the only one are to be seen.
        around = [(np.nextafter(it, -np.inf), it) for it in values]
        return tuple(float(edge) for pair in around for edge in pair)
    shares = np.arange(1, QUANTILES) / QUANTILES
    at = np.searchsorted(values, np.quantile(numbers, shares, method="lower"))
    middles = (values[:-1] + values[1:]) / 2
    edges = {float(middles[it]) for it in at if it < len(middles)}
    repeated = at[1:][at[1:] == at[:-1]]
    edges |= {float(middles[it - 1]) for it in repeated if it > 0}
    return tuple(sorted(edges))
