"""Parses batches of JSON objects into rows of a contract's types, with msgspec."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any, Literal

import msgspec
import pyarrow as pa

from lib.decode.formats.base import Row, RowParser
from lib.decode.formats.json import MAX_NAME_CHARS, PLAIN_DEPTH
from lib.record.checks import Condition, find_limits
from lib.record.contract import Contract, Field
from lib.record.place import Place, group_by_member

# The names of attributes that lead from a struct to a field's value.
_Way = tuple[str, ...]
# Shorter values cannot exceed the reference's limits of depth and digits.
_PLAIN_BYTES = 1_000
_LONG_NUMBER = re.compile(rb"[0-9.eE+-]{1000}")


def build_row_parser(contract: Contract) -> RowParser:
    """Build the parser for records of a contract.

    It refuses values that may exceed a limit of the reference, which then decides.
    """
    parse, to_row = _build_parser(contract)
    longest = min(contract.max_bytes, MAX_NAME_CHARS)
    plain = min(contract.max_bytes, _PLAIN_BYTES)

    def parse_rows(values: pa.BinaryArray) -> list[Row | None]:
        is_utf8 = _is_utf8(values)
        rows: list[Row | None] = []
        for value in values.to_pylist():
            try:
                if value is None or (len(value) > plain and not _is_plain(value, longest)):
                    rows.append(None)
                    continue
                if not is_utf8:
                    value.decode()
                rows.append(to_row(parse(value)))
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                rows.append(None)
        return rows

    return parse_rows


def _is_utf8(values: pa.BinaryArray) -> bool:
    try:
        values.cast(pa.string())
    except pa.ArrowInvalid:
        return False
    return True


def _is_plain(value: bytes, longest: int) -> bool:
    """Tell whether a long value certainly keeps the reference's limits."""
    return (
        len(value) <= longest
        and value.count(b"[") + value.count(b"{") <= PLAIN_DEPTH
        and _LONG_NUMBER.search(value) is None
    )


def _build_parser(contract: Contract) -> tuple[Callable[[bytes], Any], Callable[[Any], Row]]:
    """Build bytes → struct, which raises for other types than the contract's, and struct → row."""
    struct, by_name = _build_struct([(spec, spec.place) for spec in contract.checked])
    ways = [by_name[spec.name] for spec in contract.checked]
    parse = msgspec.json.Decoder(struct).decode
    if all(len(way) == 1 for way in ways):
        return parse, msgspec.structs.astuple
    return parse, lambda record: tuple(_follow(record, way) for way in ways)


def _build_struct(pending: Iterable[tuple[Field, Place]]) -> tuple[type[Any], dict[str, _Way]]:
    """Build a struct for an object, and the way to each field by the field's name."""
    fields: list[Any] = []
    names: dict[str, str] = {}
    ways: dict[str, _Way] = {}
    for number, (name, inner) in enumerate(group_by_member(pending).items()):
        attribute = f"f{number}"
        names[attribute] = name
        spec, place = inner[0]
        kind: Any
        inner_ways: dict[str, _Way]
        if place:
            kind, inner_ways = _build_struct(inner)
        else:
            kind, inner_ways = _type_of(spec), {spec.name: ()}
        is_optional = all(spec.nullable for spec, _ in inner)
        kind = kind | None if is_optional else kind
        fields.append((attribute, kind, None) if is_optional else (attribute, kind))
        ways |= {field: (attribute, *way) for field, way in inner_ways.items()}
    # Optional fields have to come last in a struct unless all are named.
    struct = msgspec.defstruct("Record", fields, rename=names, kw_only=True, gc=False)
    return struct, ways


def _follow(record: Any, way: _Way) -> Any:
    for attribute in way:
        if record is None:
            return None
        record = getattr(record, attribute)
    return record


def _type_of(spec: Field) -> Any:
    """Choose the type that keeps as many of the field's conditions as a type can."""
    limits = find_limits(spec)
    if Condition.IS_IN in limits:
        return Literal[limits[Condition.IS_IN]]
    if Condition.IS_NUMBER in limits:
        return float | str if spec.numeric_text else float
    return bool if Condition.IS_BOOLEAN in limits else str
