"""Writes a contract as the text of its TOML file; :mod:`lib.record.contract_file` reads it back."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping

from lib.record.contract import Contract, Field, Kind

Item = str | bool | int | float | tuple[object, ...]


def write_contract(contract: Contract) -> str:
    """Write the text of a contract's file: the whole contract, stand-ins included.

    ``parse_contract`` makes an equal contract of the text, with the same fingerprint.
    """
    parts = [_write({"name": contract.name, "max_bytes": contract.max_bytes})]
    parts.append(_write(dict(_list_text(contract.identifier)), "[identifier]"))
    if contract.event_time is not None:
        parts.append(_write(dict(_list_common(contract.event_time)), "[event_time]"))
    names = {"negative": contract.negative_label, "positive": contract.positive_label}
    parts.append(_write({**dict(_list_common(contract.label)), **names}, "[label]"))
    parts.append(_write(dataclasses.asdict(contract.output), "[output]"))
    if contract.names is not None:
        parts.append(_write(dataclasses.asdict(contract.names), "[names]"))
    parts += [_write(dict(_list_feature(field)), "[[features]]") for field in contract.features]
    return "\n".join(parts)


def _list_common(field: Field) -> Iterator[tuple[str, Item]]:
    yield "name", field.name
    if field.path:
        has_dots = any("." in name for name in field.path)
        yield "path", field.path if has_dots else ".".join(field.path)
    if field.description:
        yield "description", field.description


def _list_text(field: Field) -> Iterator[tuple[str, Item]]:
    yield from _list_common(field)
    if field.pattern is not None:
        yield "pattern", field.pattern
    if field.max_chars is not None:
        yield "max_chars", field.max_chars
    if field.stand_in is not None:
        yield "stand_in", field.stand_in


def _list_feature(field: Field) -> Iterator[tuple[str, Item]]:
    common = dict(_list_text(field))
    yield "name", common.pop("name")
    yield "kind", str(field.kind)
    if field.kind is Kind.CATEGORY:
        yield "allowed", field.allowed
    for name in ("minimum", "maximum", "blank"):
        if (number := getattr(field, name)) is not None:
            yield name, number
    for name in ("nullable", "numeric_text"):
        if getattr(field, name):
            yield name, True
    if field.singled_out:
        yield "singled_out", field.singled_out
    if field.unit:
        yield "unit", field.unit
    yield from common.items()


def _write(items: Mapping[str, Item], header: str = "") -> str:
    lines = [f"{name} = {_write_value(value)}" for name, value in items.items()]
    return "\n".join([*([header] if header else []), *lines, ""])


def _write_value(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return f"[{', '.join(map(_write_value, value))}]"
    if isinstance(value, str):
        # TOML's strings have JSON's escapes, but forbid one character that JSON does not escape.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return repr(value)
