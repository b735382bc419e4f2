"""Writes the reasons of predictions for whole batches in Python workers; see ``effects.py``.

A text, a boolean and an integer of a short range have few values, so the whole text of each reason
is made once; only other numbers are written for each record, and only where they are named.

The largest effects are found by comparing one integer for each field and record. Its upper bits are
the size of the effect, for which 34 suffice; its lower ones are the place of the reason's text,
counted from the end, so that of equal effects the first in the contract's order is the largest.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from decimal import ROUND_HALF_UP, Decimal
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from lib.decode.engines.arrow import Category, Column
from lib.messages.effects import (
    MAX_EFFECT,
    UNIT,
    FieldEffects,
    Reasons,
    format_effect,
    round_effect,
)
from lib.record.contract import Contract, Field, Kind
from lib.record.types import is_text

# An integer of a longer range is written for each record.
_MAX_VALUES = 10_000
# Numbers are written with six decimals, as far as they are not zero.
_MILLION = 1_000_000
# A larger number is written without decimals, and a much larger one not at all.
_LARGE, _HUGE = 1e9, 1e38

Integers = npt.NDArray[np.int64]


class ReasonWriter:
    """Writes the reasons of the predictions of one query.

    Args:
        reasons: the effects, and how many fields are listed.
        contract: the contract of the records.
    """

    def __init__(self, reasons: Reasons, contract: Contract) -> None:
        self._count = min(reasons.count, len(reasons.effects.fields))
        fields = [(it, contract.field(it.name)) for it in reasons.effects.fields]
        listed = [(effects, field, _list_values(field)) for effects, field in fields]
        sizes = [len(values) + 1 for _, _, values in listed if values is not None]
        self._bits = (sum(sizes) + len(listed)).bit_length()
        self._columns: list[_Listed | _Line] = []
        texts: list[str] = []
        for effects, field, values in listed:
            start = 2**self._bits - 1 - len(texts)
            if values is None:
                self._columns.append(_Line(effects, start, self._bits))
                texts.append("")  # the place of the texts that are made for each record
            else:
                column = _Listed(effects, field, values, start, self._bits)
                self._columns.append(column)
                texts += column.texts
        self._lines = [it for it in self._columns if isinstance(it, _Line)]
        self._texts = pa.array(texts, pa.string())

    def write(self, features: Mapping[str, Column]) -> pa.StringArray:
        """Write the reasons of each record as a JSON array.

        Args:
            features: name → decoded column of n values.

        Returns:
            The texts: str [n].
        """
        last = 2**self._bits - 1
        largest = _find_largest([it.rank(features[it.name]) for it in self._columns], self._count)
        rows = len(largest[0])
        # The places of the first reasons of all records, then of the second ones: [count · n].
        places = last - (np.concatenate(largest) & last)
        texts, size = [self._texts], len(self._texts)
        for column in self._lines:
            named = np.flatnonzero(places == last - column.start)
            if len(named):
                places[named] = size + np.arange(len(named))
                size += len(named)
                values = np.asarray(features[column.name], np.float64)
                texts.append(column.write(values[named % rows]))
        named_texts = pc.take(pa.concat_arrays(texts), pa.array(places), boundscheck=False)
        parts: list[pa.StringArray | str] = []
        for number in range(self._count):
            parts += [",", named_texts.slice(number * rows, rows)]
        return pc.binary_join_element_wise("[", *parts[1:], "]", "")


def _find_largest(columns: Sequence[Integers], count: int) -> list[Integers]:
    """Find the largest, the second largest and further integers of each row: count · int64 [n].

    Args:
        columns: one integer of each row in each, int64 [n]; they are changed.
        count: the number of integers, at most that of the columns.
    """
    found: list[Integers] = []
    for rest in columns:
        for largest in found:
            smaller = np.minimum(largest, rest)
            np.maximum(largest, rest, out=largest)
            rest = smaller
        if len(found) < count:
            found.append(rest)
    return found


class _Listed:
    """A field with few values: a table of ranks and texts, the last for a missing value."""

    def __init__(
        self, effects: FieldEffects, field: Field, values: list[Any], start: int, bits: int
    ) -> None:
        self.name = effects.name
        self._first = 0 if is_text(field) else int(values[0])
        found = [round_effect(effects.find(value)) for value in (*values, None)]
        self._ranks = (np.abs(np.array(found, np.int64)) << bits) + start - np.arange(len(found))
        shown = [bool(it) for it in values] if field.kind is Kind.BOOLEAN else values
        self.texts = [
            write_reason(self.name, json.dumps(value, ensure_ascii=False), effect)
            for value, effect in zip((*shown, None), found, strict=True)
        ]

    def rank(self, column: Column) -> Integers:
        """Return the integer of each value: int64 [n]."""
        # The code -1 of a missing value points to the last place.
        if isinstance(column, Category):
            return self._ranks.take(column.codes)
        codes = np.where(np.isnan(column), self._first - 1, column).astype(np.int64) - self._first
        return self._ranks.take(codes)


class _Line:
    """A field with many values."""

    def __init__(self, effects: FieldEffects, start: int, bits: int) -> None:
        self.name = effects.name
        self.start = start
        self._effects = effects
        self._bits = bits
        self._before = f'{{"feature":{_quote(effects.name)},"value":'

    def rank(self, column: Column) -> Integers:
        """Return the integer of each value: int64 [n]."""
        return (np.abs(self._round(np.asarray(column, np.float64))) << self._bits) + self.start

    def write(self, values: npt.NDArray[np.float64]) -> pa.StringArray:
        """Write the reason of each value."""
        shown = (format_numbers(values), ',"effect":', format_effects(self._round(values)))
        return pc.binary_join_element_wise(self._before, *shown, "}", "")

    def _round(self, values: npt.NDArray[np.float64]) -> Integers:
        effects = self._effects
        found = effects.offset + effects.slope * values
        for value, more in effects.additions:
            found = np.where(values == value, found + more, found)
        found = np.where(np.isnan(values), effects.missing, found)
        return np.floor(np.clip(found, -MAX_EFFECT, MAX_EFFECT) * UNIT + 0.5).astype(np.int64)


def write_reason(name: str, value: str, effect: int) -> str:
    """Write one reason from the JSON text of its value and its rounded effect."""
    return f'{{"feature":{_quote(name)},"value":{value},"effect":{format_effect(effect)}}}'


def _list_values(field: Field) -> list[Any] | None:
    """List the values of a field in the order of a table; None if there are too many."""
    if field.kind is Kind.CATEGORY:
        return list(field.allowed)
    if field.kind is Kind.BOOLEAN:
        return [0, 1]
    if field.kind is Kind.INTEGER and field.minimum is not None and field.maximum is not None:
        first, last = int(field.minimum), int(field.maximum)
        return list(range(first, last + 1)) if last - first < _MAX_VALUES else None
    return None


def format_effects(rounded: Integers) -> pa.StringArray:
    """Do the same as :func:`lib.messages.effects.format_effect` for many."""
    # One digit more, which is never 0, keeps the zeros before it.
    longer = np.where(rounded < 0, rounded * 10 - 1, rounded * 10 + 1) / (UNIT * 10)
    return pc.utf8_slice_codeunits(pa.array(longer).cast(pa.string()), 0, -1)


def format_numbers(values: npt.NDArray[np.float64]) -> pa.StringArray:
    """Format numbers as JSON, with up to six decimals and no exponent; a missing one is null."""
    is_plain = np.abs(values) < _LARGE
    plain = np.where(is_plain, values, 0.0)
    micro = np.floor(np.abs(plain) * _MILLION + 0.5)
    # A number of up to 15 digits has no shorter text, and adding 0 makes -0 to 0.
    texts = pa.array(np.copysign(micro / _MILLION, plain) + 0.0).cast(pa.string())
    if is_plain.all():
        return texts
    written = texts.to_pylist()
    for at in np.flatnonzero(~is_plain).tolist():
        value = float(values[at])
        is_shown = abs(value) < _HUGE  # this is false for NaN
        written[at] = (
            str(Decimal(repr(value)).quantize(Decimal(1), ROUND_HALF_UP)) if is_shown else "null"
        )
    return pa.array(written, pa.string())


@lru_cache(maxsize=1_000)
def _quote(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
