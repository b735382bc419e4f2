"""Breaks records in known ways, so that their contract rejects them.

The demonstration and the tests show with them what happens to bad records. Every fault starts from
the bytes of a valid record, and a given random generator makes its choices.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import reduce
from random import Random
from typing import Any

from lib.record.contract import Contract, Field, Kind
from lib.record.place import Place, put

# The size is far above a contract's limit, and just below the default limit of brokers, 1 MB.
OVERSIZED_BYTES = 900_000

Fault = Callable[[bytes, Random, Contract], bytes | None]


def break_record(
    value: bytes, rng: Random, contract: Contract, kind: str | None = None
) -> bytes | None:
    """Break a record.

    Args:
        value: a valid record from :func:`lib.synth.encode_record`.
        rng: the random generator that makes the choices.
        contract: the contract of the record.
        kind: the kind of fault, one of :func:`list_faults`; drawn by default.

    Returns:
        The broken value; None for a message without a value.

    Raises:
        KeyError: there is no such kind.
    """
    return FAULTS[rng.choice(list_faults(contract)) if kind is None else kind](value, rng, contract)


def list_faults(contract: Contract) -> list[str]:
    """List the kinds of :data:`FAULTS` that records of a contract can have."""
    impossible = set()
    if not contract.categorical:
        impossible.add("value not allowed")
    if not contract.numeric:
        impossible |= {"NaN", "Infinity"}
    if not _list_bounded(contract):
        impossible.add("out of range")
    return [kind for kind in FAULTS if kind not in impossible]


def drop_value(value: bytes, rng: Random, contract: Contract) -> None:
    """Return no value, which makes the message a tombstone for compacted topics."""


def replace_by_text(value: bytes, rng: Random, contract: Contract) -> bytes:
    """Return text that is no JSON."""
    return rng.choice((b"", b"no record", b"<record/>", b"{'name': 1}", b"{}{}"))


def truncate(value: bytes, rng: Random, contract: Contract) -> bytes:
    """Cut the record off, as an interrupted write does."""
    return value[: rng.randrange(1, len(value))]


def spoil_encoding(value: bytes, rng: Random, contract: Contract) -> bytes:
    """Put a byte into a string that is not valid in UTF-8."""
    field = rng.choice(contract.categorical or (contract.identifier,))
    marker = "@spoiled@"
    return _change(value, {field.place: marker}).replace(marker.encode(), b"Ma\xfdnnlich")


def replace_by_other_json(value: bytes, rng: Random, contract: Contract) -> bytes:
    """Return JSON that is no object."""
    return rng.choice((b"[" + value + b"]", json.dumps(value.decode()).encode(), b"42", b"null"))


def drop_field(value: bytes, rng: Random, contract: Contract) -> bytes:
    """Remove a field that a record needs."""
    record, place = json.loads(value), _choose_needed(rng, contract).place
    outer: dict[str, Any] = reduce(lambda found, name: found[name], place[:-1], record)
    del outer[place[-1]]
    return _encode(record)


def empty_field(value: bytes, rng: Random, contract: Contract) -> bytes:
    """Set a field to null that a record needs."""
    return _change(value, {_choose_needed(rng, contract).place: None})


def replace_category(value: bytes, rng: Random, contract: Contract) -> bytes:
    """Set a category to a value that is not allowed, maybe one that looks like an allowed one."""
    field = rng.choice(contract.categorical)
    wrong = rng.choice(("Maybe", "", rng.choice(field.allowed).upper(), field.allowed[0] + " "))
    return _change(value, {field.place: wrong if wrong not in field.allowed else "?"})


def exceed_range(value: bytes, rng: Random, contract: Contract) -> bytes:
    """Set a number below its minimum or above its maximum."""
    field = rng.choice(_list_bounded(contract))
    beyond = []
    if field.minimum is not None:
        beyond.append(int(field.minimum) - 1)
    if field.maximum is not None:
        beyond += [int(field.maximum) + 1, 10 * abs(int(field.maximum)) + 10]
    return _change(value, {field.place: rng.choice(beyond)})


def change_type(value: bytes, rng: Random, contract: Contract) -> bytes:
    """Set a field to a value of a JSON type that it does not take."""
    field = rng.choice(contract.features)
    scalars: tuple[Any, ...] = (True, 7)
    if field.is_numeric:
        scalars = (True, "many")
    elif field.kind is Kind.BOOLEAN:
        scalars = (7, "many")
    return _change(value, {field.place: rng.choice(([], {"value": 1}, *scalars))})


def write_nan(value: bytes, rng: Random, contract: Contract) -> bytes:
    """Set a number to NaN, which is not JSON although many writers write it."""
    return _change(value, {rng.choice(contract.numeric).place: float("nan")})


def write_infinity(value: bytes, rng: Random, contract: Contract) -> bytes:
    """Set a number to Infinity or -Infinity."""
    infinite = rng.choice((float("inf"), float("-inf")))
    return _change(value, {rng.choice(contract.numeric).place: infinite})


def inflate(value: bytes, rng: Random, contract: Contract) -> bytes:
    """Add a field that makes the record :data:`OVERSIZED_BYTES` bytes long."""
    empty = len(_change(value, {("note",): ""}))
    return _change(value, {("note",): "x" * (OVERSIZED_BYTES - empty)})


FAULTS: dict[str, Fault] = {
    "null value": drop_value,
    "not JSON": replace_by_text,
    "truncated": truncate,
    "invalid UTF-8": spoil_encoding,
    "no object": replace_by_other_json,
    "missing feature": drop_field,
    "null feature": empty_field,
    "value not allowed": replace_category,
    "out of range": exceed_range,
    "wrong type": change_type,
    "NaN": write_nan,
    "Infinity": write_infinity,
    "oversized": inflate,
}


def _choose_needed(rng: Random, contract: Contract) -> Field:
    """Choose a feature that must not be missing, or the identifier if there is none."""
    needed = tuple(field for field in contract.features if not field.nullable)
    return rng.choice(needed or (contract.identifier,))


def _list_bounded(contract: Contract) -> list[Field]:
    """List the numeric features that have a minimum or a maximum."""
    return [it for it in contract.numeric if it.minimum is not None or it.maximum is not None]


def _change(value: bytes, changes: Mapping[Place, Any]) -> bytes:
    record = json.loads(value)
    for place, content in changes.items():
        put(record, place, content)
    return _encode(record)


def _encode(record: dict[str, Any]) -> bytes:
    return json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode()
