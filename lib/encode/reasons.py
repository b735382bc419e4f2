"""Writes the reasons of predictions for whole batches in Python workers; see ``effects.py``.

A text, a boolean and an integer of a short range have few values, so the whole text of each reason
is made once; only other numbers are written for each record.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import ROUND_HALF_UP, Decimal
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from lib.decode.engines.arrow import Category, Column
from lib.messages.effects import UNIT, FieldEffects, Reasons, format_effect, round_effect
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
        self._columns: list[_Listed | _Line] = []
        texts: list[str] = []
        for effects in reasons.effects.fields:
            field = contract.field(effects.name)
            values = _list_values(field)
            if values is None:
                self._columns.append(_Line(effects, len(self._columns)))
            else:
                listed = _Listed(effects, field, values, len(texts))
                self._columns.append(listed)
                texts += listed.texts
        self._texts = pa.array(texts, pa.string())

    def write(self, features: Mapping[str, Column]) -> pa.StringArray:
        """Write the reasons of each record as a JSON array.

        Args:
            features: name → decoded column of n values.

        Returns:
            The texts: str [n].
        """
        pairs = [it.read(features[it.name]) for it in self._columns]
        effects = np.stack([it for it, _ in pairs], axis=1)
        texts = np.stack([it for _, it in pairs], axis=1)
        rows, left = np.arange(len(effects)), np.abs(effects)
        parts: list[pa.StringArray] = []
        for _ in range(self._count):
            # The first of equal ones, which is that of the contract's order.
            largest = left.argmax(axis=1)
            left[rows, largest] = -1
            parts.append(self._write_part(largest, effects, texts[rows, largest], features))
        joined = pc.binary_join_element_wise(*parts, ",")
        return pc.binary_join_element_wise("[", joined, "]", "")

    def _write_part(
        self,
        largest: Integers,
        effects: Integers,
        known: Integers,
        features: Mapping[str, Column],
    ) -> pa.StringArray:
        """Write one reason of each record: its field is at ``largest``, its text at ``known``."""
        unknown = np.flatnonzero(known < 0)
        if not len(unknown):
            return self._texts.take(pa.array(known))
        place = known.copy()
        written: list[pa.StringArray] = [self._texts]
        size = len(self._texts)
        for position in np.unique(largest[unknown]).tolist():
            at = unknown[largest[unknown] == position]
            place[at] = size + np.arange(len(at))
            size += len(at)
            column = self._columns[position]
            values = np.asarray(features[column.name])[at]
            written.append(_write_numbers(column.name, values, effects[at, position]))
        return pa.concat_arrays(written).take(pa.array(place))


class _Listed:
    """A field with few values: a table of effects and texts, the last for a missing value."""

    def __init__(self, effects: FieldEffects, field: Field, values: list[Any], start: int) -> None:
        self.name = effects.name
        self._start = start
        self._first = 0 if is_text(field) else int(values[0])
        found = [round_effect(effects.find(value)) for value in (*values, None)]
        self._effects = np.array(found, np.int64)
        shown = [bool(it) for it in values] if field.kind is Kind.BOOLEAN else values
        self.texts = [
            write_reason(self.name, json.dumps(value, ensure_ascii=False), effect)
            for value, effect in zip((*shown, None), found, strict=True)
        ]

    def read(self, column: Column) -> tuple[Integers, Integers]:
        """Return the rounded effect of each value, and the position of its text."""
        if isinstance(column, Category):
            codes = column.codes
        else:
            missing = np.isnan(column)
            codes = np.where(missing, self._first - 1, column).astype(np.int64) - self._first
        # The code -1 of a missing value points to the last place.
        return self._effects[codes], self._start + codes % len(self._effects)


class _Line:
    """A field with many values."""

    def __init__(self, effects: FieldEffects, position: int) -> None:
        self.name = effects.name
        self._effects = effects

    def read(self, column: Column) -> tuple[Integers, Integers]:
        """Return the rounded effect of each value, and -1: its text is not made yet."""
        values = np.asarray(column, np.float64)
        effects = self._effects
        found = effects.offset + effects.slope * values
        for value, more in effects.additions:
            found = np.where(values == value, found + more, found)
        found = np.where(np.isnan(values), effects.missing, found)
        rounded = np.floor(found * UNIT + 0.5).astype(np.int64)
        return rounded, np.full(len(values), -1, np.int64)


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


def _write_numbers(name: str, values: npt.NDArray[np.float64], effects: Integers) -> pa.StringArray:
    start = f'{{"feature":{_quote(name)},"value":'
    parts = (start, format_numbers(values), ',"effect":', format_effects(effects), "}")
    return pc.binary_join_element_wise(*parts, "")


def format_effects(rounded: Integers) -> pa.StringArray:
    """Do the same as :func:`lib.messages.effects.format_effect` for many."""
    size = np.abs(rounded)
    digits = pa.array(UNIT + size % UNIT).cast(pa.string())
    sign = pc.if_else(pa.array(rounded < 0), "-", "")
    whole = pa.array(size // UNIT).cast(pa.string())
    return pc.binary_join_element_wise(sign, whole, ".", pc.utf8_slice_codeunits(digits, 1), "")


def format_numbers(values: npt.NDArray[np.float64]) -> pa.StringArray:
    """Format numbers as JSON, with up to six decimals and no exponent; a missing one is null."""
    is_plain = np.abs(values) < _LARGE
    micro = np.floor(np.abs(np.where(is_plain, values, 0.0)) * _MILLION + 0.5).astype(np.int64)
    digits = pa.array(_MILLION + micro % _MILLION).cast(pa.string())
    fraction = pc.utf8_rtrim(pc.utf8_slice_codeunits(digits, 1), "0")
    point = pc.if_else(pc.equal(fraction, ""), "", ".")
    sign = pc.if_else(pa.array((values < 0) & (micro > 0)), "-", "")
    whole = pa.array(micro // _MILLION).cast(pa.string())
    texts = pc.binary_join_element_wise(sign, whole, point, fraction, "")
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
