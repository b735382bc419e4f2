"""Ways to break a customer record so that the contract rejects it.

Used to show and test what becomes of bad records. Every fault starts from a valid record's bytes
and takes its choices from the random generator that it is given.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from random import Random
from typing import Any

from lib.contract import CUSTOMER, Field

# Far above what the contract parses, just below the 1 MB that brokers accept by default.
OVERSIZED_BYTES = 900_000

Fault = Callable[[bytes, Random], bytes | None]


def break_record(value: bytes, rng: Random, kind: str | None = None) -> bytes | None:
    """Break a record.

    Args:
        value: a valid record, as :func:`lib.synth.encode_record` gives it.
        rng: decides what the fault leaves open.
        kind: one of :data:`FAULTS`; drawn where not given.

    Returns:
        What is to be sent instead; None is a message without a value.

    Raises:
        KeyError: there is no such kind.
    """
    return FAULTS[rng.choice(list(FAULTS)) if kind is None else kind](value, rng)


def drop_value(value: bytes, rng: Random) -> None:
    """A message without a value: what compacted topics call a tombstone."""


def replace_by_text(value: bytes, rng: Random) -> bytes:
    """No JSON at all."""
    return rng.choice((b"", b"customer left", b"<customer/>", b"{'tenure': 1}", b"{}{}"))


def truncate(value: bytes, rng: Random) -> bytes:
    """The beginning of the record, as after an interrupted write."""
    return value[: rng.randrange(1, len(value))]


def spoil_encoding(value: bytes, rng: Random) -> bytes:
    """A byte in a string that no UTF-8 text has."""
    name = rng.choice(CUSTOMER.categorical).name
    marker = "@spoiled@"
    return _change(value, {name: marker}).replace(marker.encode(), b"Ma\xfdnnlich")


def replace_by_other_json(value: bytes, rng: Random) -> bytes:
    """JSON, but no object."""
    return rng.choice((b"[" + value + b"]", json.dumps(value.decode()).encode(), b"42", b"null"))


def drop_feature(value: bytes, rng: Random) -> bytes:
    """A feature is missing."""
    record = json.loads(value)
    del record[rng.choice(CUSTOMER.feature_names)]
    return _encode(record)


def empty_feature(value: bytes, rng: Random) -> bytes:
    """A feature is null."""
    return _change(value, {rng.choice(CUSTOMER.feature_names): None})


def replace_category(value: bytes, rng: Random) -> bytes:
    """A category has a value that is not allowed; close ones count too."""
    field = rng.choice(CUSTOMER.categorical)
    wrong = rng.choice(("Maybe", "", rng.choice(field.allowed).upper(), field.allowed[0] + " "))
    return _change(value, {field.name: wrong if wrong not in field.allowed else "?"})


def exceed_range(value: bytes, rng: Random) -> bytes:
    """A number is below its minimum or above its maximum."""
    field = rng.choice(CUSTOMER.numeric)
    low, high = field.range
    return _change(value, {field.name: rng.choice((int(low) - 1, int(high) + 1, 10 * int(high)))})


def change_type(value: bytes, rng: Random) -> bytes:
    """A value of a JSON type that its field does not take."""
    field = rng.choice(CUSTOMER.features)
    wrong: tuple[Any, ...] = ([], {"value": 1}, True, "many" if field.is_numeric else 7)
    return _change(value, {field.name: rng.choice(wrong)})


def write_nan(value: bytes, rng: Random) -> bytes:
    """NaN in place of a number: not JSON, though many writers write it."""
    return _change(value, {_choose_number(rng).name: float("nan")})


def write_infinity(value: bytes, rng: Random) -> bytes:
    """Infinity in place of a number."""
    infinite = rng.choice((float("inf"), float("-inf")))
    return _change(value, {_choose_number(rng).name: infinite})


def inflate(value: bytes, rng: Random) -> bytes:
    """A valid record in :data:`OVERSIZED_BYTES` bytes, by one more field."""
    empty = len(_change(value, {"note": ""}))
    return _change(value, {"note": "x" * (OVERSIZED_BYTES - empty)})


FAULTS: dict[str, Fault] = {
    "null value": drop_value,
    "not JSON": replace_by_text,
    "truncated": truncate,
    "invalid UTF-8": spoil_encoding,
    "no object": replace_by_other_json,
    "missing feature": drop_feature,
    "null feature": empty_feature,
    "value not allowed": replace_category,
    "out of range": exceed_range,
    "wrong type": change_type,
    "NaN": write_nan,
    "Infinity": write_infinity,
    "oversized": inflate,
}


def _choose_number(rng: Random) -> Field:
    return rng.choice(CUSTOMER.numeric)


def _change(value: bytes, changes: dict[str, Any]) -> bytes:
    return _encode(json.loads(value) | changes)


def _encode(record: dict[str, Any]) -> bytes:
    return json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode()
