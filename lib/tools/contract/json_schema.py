"""Drafts a contract from a JSON Schema (https://json-schema.org/draft/2020-12) of an object."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from lib.errors import SettingsError
from lib.record.contract import (
    DEFAULT_MAX_BYTES,
    DEFAULT_MAX_CHARS,
    Contract,
    Field,
    Kind,
    OutputNames,
    build_event_time,
    build_label,
)
from lib.record.place import Place
from lib.record.stand_in import add_stand_in
from lib.tools.contract.drafting import Draft, Roles

# A property's place, its schema, and whether it is required.
_Property = tuple[Place, Mapping[str, Any], bool]
_NULL = "null"
_NUMBERS = {"integer", "number"}


def draft_from_schema(name: str, schema: Mapping[str, Any], roles: Roles) -> Draft:
    """Draft a contract from a schema; nested objects become paths.

    Args:
        name: the name of the domain.
        schema: the schema of the record.
        roles: the properties that are identifier, label and event time. The identifier is needed,
            because a schema does not tell it.

    Raises:
        SettingsError: no identifier is given, or a given property does not exist.
    """
    properties = list(_iter_properties(schema, schema))
    by_name = {_name(place): (place, it, needed) for place, it, needed in properties}
    notes: list[str] = []
    if roles.identifier is None:
        raise SettingsError(
            "a JSON Schema does not say which property is the identifier",
            hint=f"name it with --identifier: {', '.join(by_name)}",
        )
    for flag, given in (("--identifier", roles.identifier), ("--event-time", roles.event_time)):
        if given is not None and given not in by_name:
            raise SettingsError(f"{flag} {given}: found the properties {', '.join(by_name)}")
    time = roles.event_time or _find_time(by_name, notes)
    label = _draft_label(by_name, roles, notes)
    features = []
    for text, (place, it, needed) in by_name.items():
        if text in (roles.identifier, time, label.name):
            continue
        drafted = _draft_field(place, it, needed, notes)
        if drafted is not None:
            features.append(drafted)
    place, described, _ = by_name[roles.identifier]
    contract = Contract(
        name=name,
        identifier=_draft_identifier(place, described),
        features=tuple(features),
        event_time=None if time is None else build_event_time(time, path=_path(by_name[time][0])),
        label=label,
        positive_label=label.allowed[1],
        max_bytes=DEFAULT_MAX_BYTES,
        output=OutputNames(roles.identifier),
    )
    return Draft(contract, notes)


def _iter_properties(schema: Mapping[str, Any], root: Mapping[str, Any]) -> Iterator[_Property]:
    """Iterate over the properties of an object and of the objects in it."""
    required = set(schema.get("required", ()))
    for name, described in _as_mapping(schema.get("properties")).items():
        described = _resolve(_as_mapping(described), root)
        if "properties" in described:
            for place, inner, needed in _iter_properties(described, root):
                yield (name, *place), inner, needed and name in required
        else:
            yield (name,), described, name in required


def _resolve(schema: Mapping[str, Any], root: Mapping[str, Any]) -> Mapping[str, Any]:
    """Follow a reference within the schema."""
    reference = schema.get("$ref")
    if not isinstance(reference, str) or not reference.startswith("#/"):
        return schema
    found: Any = root
    for part in reference.removeprefix("#/").split("/"):
        found = _as_mapping(found).get(part.replace("~1", "/").replace("~0", "~"))
    return _as_mapping(found)


def _name(place: Place) -> str:
    return place[-1] if len(place) == 1 else "_".join(place)


def _path(place: Place) -> Place:
    return place if len(place) > 1 else ()


def _list_types(schema: Mapping[str, Any]) -> tuple[set[str], bool]:
    """List the types that a value may have, and tell whether it may be null."""
    found = schema.get("type", [])
    types = {found} if isinstance(found, str) else {str(it) for it in found}
    if None in schema.get("enum", ()):
        types.add(_NULL)
    return types - {_NULL}, _NULL in types


def _draft_field(
    place: Place, schema: Mapping[str, Any], needed: bool, notes: list[str]
) -> Field | None:
    types, may_be_null = _list_types(schema)
    values = [value for value in schema.get("enum", ()) if value is not None]
    facts: dict[str, Any] = {"nullable": may_be_null or not needed, "path": _path(place)}
    name = _name(place)
    if values and all(isinstance(value, str) for value in values):
        kind, facts["allowed"] = Kind.CATEGORY, tuple(dict.fromkeys(values))
    elif types == {"boolean"}:
        kind = Kind.BOOLEAN
    elif types & _NUMBERS and types <= _NUMBERS | {"string"}:
        kind = Kind.NUMBER if "number" in types else Kind.INTEGER
        facts |= _read_bounds(schema, kind)
        facts["numeric_text"] = "string" in types
        if kind is Kind.NUMBER and ("exclusiveMinimum" in schema or "exclusiveMaximum" in schema):
            notes.append(f"{name}: the bounds of a contract are inclusive.")
    elif types == {"string"}:
        kind = Kind.TEXT
        facts["max_chars"] = schema.get("maxLength", DEFAULT_MAX_CHARS)
        facts["pattern"] = _read_pattern(schema)
    else:
        listed = ", ".join(sorted(types)) or "no type"
        notes.append(f"{name} was left out: {listed} is no kind of a feature.")
        return None
    drafted = add_stand_in(Field(name, kind, str(schema.get("description", "")), None, **facts))
    return replace(drafted, stand_in=schema.get("default", drafted.stand_in))


def _read_bounds(schema: Mapping[str, Any], kind: Kind) -> dict[str, Any]:
    step = 1 if kind is Kind.INTEGER else 0
    low, high = schema.get("minimum"), schema.get("maximum")
    if (bound := schema.get("exclusiveMinimum")) is not None:
        low = bound + step
    if (bound := schema.get("exclusiveMaximum")) is not None:
        high = bound - step
    return {"minimum": low, "maximum": high}


def _read_pattern(schema: Mapping[str, Any]) -> str | None:
    """Read the pattern, which may match anywhere, as one that matches the whole text."""
    pattern = schema.get("pattern")
    if not isinstance(pattern, str):
        return None
    starts, ends = pattern.startswith("^"), pattern.endswith("$")
    inner = pattern.removeprefix("^").removesuffix("$")
    return f"{'' if starts else '.*'}{inner}{'' if ends else '.*'}"


def _find_time(by_name: Mapping[str, _Property], notes: list[str]) -> str | None:
    for name, (_, schema, _) in by_name.items():
        if schema.get("format") == "date-time":
            notes.append(f"{name} was taken for the event time.")
            return name
    return None


def _draft_label(by_name: Mapping[str, _Property], roles: Roles, notes: list[str]) -> Field:
    """Draft the label, which the schema of a stream may not have."""
    name = roles.label or "label"
    values: list[str] = []
    if name in by_name:
        values = [str(it) for it in by_name[name][1].get("enum", ()) if it is not None]
    if len(values) != 2:
        values = ["no", "yes"]
        notes.append(f"The label {name} has the values no and yes: correct them.")
    positive = roles.positive or values[1]
    negative = next((it for it in values if it != positive), "no")
    return build_label(name, negative, positive)


def _draft_identifier(place: Place, schema: Mapping[str, Any]) -> Field:
    pattern = _read_pattern(schema) or r"\S(?:.*\S)?"
    drafted = Field(
        _name(place),
        Kind.TEXT,
        str(schema.get("description", "")),
        None,
        pattern=pattern,
        max_chars=schema.get("maxLength"),
        path=_path(place),
    )
    return add_stand_in(drafted)


def _as_mapping(value: Any) -> Mapping[str, Any]:
    """Return a JSON object as it is, and an empty one instead of any other value."""
    return value if isinstance(value, Mapping) else {}
