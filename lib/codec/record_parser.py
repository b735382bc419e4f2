"""Parses JSON objects into rows of a contract's types, by msgspec."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from lib.record.contract import Contract, Field, Kind

Row = tuple[Any, ...]  # in the order of Contract.checked
# A field and the names on the way to it that are still to be gone.
_Pending = tuple[Field, tuple[str, ...]]


@dataclass(frozen=True)
class RecordParser:
    """How a record's bytes become a row.

    Attributes:
        parse: bytes → a struct; raises msgspec.DecodeError for other types than the contract's.
        to_row: the struct → the values in the order of the contract's checked fields.
    """

    parse: Callable[[bytes], Any]
    to_row: Callable[[Any], Row]


def build_parser(contract: Contract) -> RecordParser:
    """The parser for records of a contract."""
    pending = [(spec, spec.place) for spec in contract.checked]
    struct, ways = _build_struct(pending)
    parse = msgspec.json.Decoder(struct).decode
    if all(len(way) == 1 for way in ways):
        return RecordParser(parse, msgspec.structs.astuple)
    return RecordParser(parse, lambda record: tuple(_follow(record, way) for way in ways))


def _build_struct(pending: Sequence[_Pending]) -> tuple[type[Any], list[tuple[str, ...]]]:
    """A struct for an object, and the way to each field: names of attributes from it on."""
    members: dict[str, list[int]] = {}
    for position, (_, place) in enumerate(pending):
        members.setdefault(place[0], []).append(position)
    fields: list[Any] = []
    names: dict[str, str] = {}
    ways: dict[int, tuple[str, ...]] = {}
    for number, (name, positions) in enumerate(members.items()):
        attribute = f"f{number}"
        names[attribute] = name
        inner = [pending[position] for position in positions]
        is_optional = all(spec.nullable for spec, _ in inner)
        if len(inner[0][1]) == 1:
            kind: Any = _type_of(inner[0][0])
            inner_ways: list[tuple[str, ...]] = [()]
        else:
            kind, inner_ways = _build_struct([(spec, place[1:]) for spec, place in inner])
        kind = kind | None if is_optional else kind
        fields.append((attribute, kind, None) if is_optional else (attribute, kind))
        for position, way in zip(positions, inner_ways, strict=True):
            ways[position] = (attribute, *way)
    # Optional fields have to come last in a struct unless all are named.
    struct = msgspec.defstruct("Record", fields, rename=names, kw_only=True, gc=False)
    return struct, [ways[position] for position in range(len(pending))]


def _follow(record: Any, way: tuple[str, ...]) -> Any:
    for attribute in way:
        if record is None:
            return None
        record = getattr(record, attribute)
    return record


def _type_of(spec: Field) -> Any:
    if spec.kind is Kind.CATEGORY:
        return Literal[spec.allowed]
    if spec.kind is Kind.BOOLEAN:
        return bool
    if spec.is_numeric:
        return float | str if spec.numeric_text else float
    return str
