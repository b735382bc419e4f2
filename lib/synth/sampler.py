"""Seeded records of any contract: all values that it allows, ends of ranges and nulls too."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count, islice
from random import Random
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import rstr

from lib.record.contract import Contract, Field, Kind
from lib.record.place import put

# Where a contract leaves a number without an end, values are drawn this far.
_OPEN_END = 1e6
# Of a nullable field's values, this share is missing.
_NULL_SHARE = 0.1
# Of a number's values, this share lies at one of its ends.
_END_SHARE = 0.02
# Drawn at once.
_BLOCK_ROWS = 1_024
# Identifiers that are remembered, so that none comes twice.
_DIFFERENT = 1_000_000
# To find one that has not come yet.
_ATTEMPTS = 10_000
# Different texts of a field; a pattern is slow to draw from.
_TEXTS = 200

Values = npt.NDArray[Any]


def draw_features(contract: Contract, rows: int, seed: int) -> pd.DataFrame:
    """Features as a model gets them, each drawn by itself.

    Args:
        contract: of the record.
        rows: how many.
        seed: the same one, and the same number of rows, give the same rows.

    Returns:
        The contract's features in its order: categories and texts as str, integers and booleans as
        int64, numbers as float64. A missing value is None in texts and categories and NaN in
        numbers; integers and booleans that may be missing are float64.
    """
    rng = np.random.Generator(np.random.PCG64([seed, rows]))
    return pd.DataFrame({field.name: _draw(field, rows, rng) for field in contract.features})


def draw_records(contract: Contract, seed: int) -> Iterator[dict[str, Any]]:
    """Records as JSON objects with identifier and features, without end.

    Raises:
        ValueError: the identifier's pattern allows too few different identifiers.
    """
    identifiers = _draw_identifiers(contract.identifier, seed)
    for block in count():
        features = draw_features(contract, _BLOCK_ROWS, seed * _BLOCK_ROWS + block)
        columns = [
            [_as_json(value, field) for value in features[field.name].tolist()]
            for field in contract.features
        ]
        for identifier, *values in zip(islice(identifiers, _BLOCK_ROWS), *columns, strict=True):
            record: dict[str, Any] = {}
            put(record, contract.identifier.place, identifier)
            for field, value in zip(contract.features, values, strict=True):
                put(record, field.place, value)
            yield record


def find_sampled_range(field: Field) -> tuple[float, float]:
    """The range of a number where it has one; an open end lies 1,000,000 away."""
    low = field.minimum if field.minimum is not None else min(0.0, field.maximum or 0.0) - _OPEN_END
    high = field.maximum if field.maximum is not None else max(0.0, low) + _OPEN_END
    return float(low), float(high)


def _draw(field: Field, rows: int, rng: np.random.Generator) -> Values:
    values = _draw_values(field, rows, rng)
    if not field.nullable:
        return values
    is_null = rng.random(rows) < _NULL_SHARE
    if field.kind in (Kind.CATEGORY, Kind.TEXT):
        values[is_null] = None
        return values
    return np.where(is_null, np.nan, values.astype(np.float64))


def _draw_values(field: Field, rows: int, rng: np.random.Generator) -> Values:
    match field.kind:
        case Kind.CATEGORY:
            return _choose(list(field.allowed), rows, rng)
        case Kind.BOOLEAN:
            return rng.integers(0, 2, rows)
        case Kind.TEXT:
            return _choose(_make_texts(field, int(rng.integers(2**31))), rows, rng)
    low, high = find_sampled_range(field)
    if field.kind is Kind.INTEGER:
        return rng.integers(int(low), int(high), rows, endpoint=True)
    numbers = np.round(rng.uniform(low, high, rows), 2).clip(low, high)
    at_end = rng.random(rows) < _END_SHARE
    return np.where(at_end, rng.choice(np.array([low, high], dtype=np.float64), rows), numbers)


def _choose(values: list[str], rows: int, rng: np.random.Generator) -> Values:
    return np.array(values, dtype=object)[rng.integers(0, len(values), rows)]


def _make_texts(field: Field, seed: int) -> list[str]:
    maker = rstr.Rstr(Random(seed))
    if field.pattern is None:
        return [f"text {number}"[: field.max_chars] for number in range(_TEXTS)]
    drawn = dict.fromkeys(maker.xeger(field.pattern) for _ in range(_TEXTS))
    fitting = [text for text in drawn if field.max_chars is None or len(text) <= field.max_chars]
    return fitting or [str(field.stand_in)]


def _draw_identifiers(field: Field, seed: int) -> Iterator[str]:
    """Identifiers without end; of :data:`_DIFFERENT` in a row no two are the same."""
    maker = rstr.Rstr(Random(seed))
    seen: dict[str, None] = {}
    attempts = 0
    while attempts < _ATTEMPTS:
        text = maker.xeger(field.pattern or r"[a-z0-9]{12}")
        attempts += 1
        if text not in seen and (field.max_chars is None or len(text) <= field.max_chars):
            seen[text] = None
            if len(seen) > _DIFFERENT:
                del seen[next(iter(seen))]
            attempts = 0
            yield text
    raise ValueError(f"{field.name}: its pattern gives {len(seen)} different identifiers only")


def _as_json(value: Any, field: Field) -> Any:
    if value is None or value != value:  # NaN
        return None
    if field.kind is Kind.BOOLEAN:
        return bool(value)
    return int(value) if field.kind is Kind.INTEGER else value
