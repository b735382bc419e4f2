"""Draws seeded records of any contract, with the ends of ranges and with nulls."""

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

# If a number has no minimum or maximum, values are drawn up to this distance.
_OPEN_END = 1e6
# The share of missing values in a nullable field.
_NULL_SHARE = 0.1
# The share of a number's values that are its minimum or maximum.
_END_SHARE = 0.02
# The number of rows that are drawn at once.
_BLOCK_ROWS = 1_024
# The number of identifiers that are remembered, so that none comes twice.
_DIFFERENT = 1_000_000
# The number of attempts to find a new identifier.
_ATTEMPTS = 10_000
# The number of different texts in a field: drawing from a pattern is slow.
_TEXTS = 200

Values = npt.NDArray[Any]


def draw_features(contract: Contract, rows: int, seed: int) -> pd.DataFrame:
    """Draw features in the form that a model gets, independently of each other.

    Args:
        contract: the contract of the records.
        rows: the number of rows.
        seed: the seed; the same seed and number of rows give the same rows.

    Returns:
        The contract's features in its order: categories and texts as str, integers and booleans as
        int64, numbers as float64. A missing value is None in texts and categories and NaN in
        numbers; integers and booleans that may be missing are float64.
    """
    rng = np.random.Generator(np.random.PCG64([seed, rows]))
    return pd.DataFrame({field.name: _draw(field, rows, rng) for field in contract.features})


def draw_records(contract: Contract, seed: int) -> Iterator[dict[str, Any]]:
    """Yield records without end, as JSON objects with identifier and features.

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
    """Return the range that a number is drawn from; an open end is 1,000,000 away."""
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
    """Yield identifiers without end; among :data:`_DIFFERENT` in a row no two are the same."""
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
