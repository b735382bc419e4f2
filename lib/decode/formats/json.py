"""Parses JSON objects into rows of a contract's types, by msgspec."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from lib.record.contract import Contract, Field, Kind
from lib.record.place import Place, group_by_member

Row = tuple[Any, ...]  # in the order of Contract.checked
# The attributes, from a struct on, that lead to a field's value.
_Way = tuple[str, ...]


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
    struct, by_name = _build_struct([(spec, spec.place) for spec in contract.checked])
    ways = [by_name[spec.name] for spec in contract.checked]
    parse = msgspec.json.Decoder(struct).decode
    if all(len(way) == 1 for way in ways):
        return RecordParser(parse, msgspec.structs.astuple)
    return RecordParser(parse, lambda record: tuple(_follow(record, way) for way in ways))


def _build_struct(pending: Iterable[tuple[Field, Place]]) -> tuple[type[Any], dict[str, _Way]]:
    """A struct for an object, and the way to each field by the field's name."""
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
    if spec.kind is Kind.CATEGORY:
        return Literal[spec.allowed]
    if spec.kind is Kind.BOOLEAN:
        return bool
    if spec.is_numeric:
        return float | str if spec.numeric_text else float
    return str
