"""Reads a contract from its TOML file, and refuses one that cannot be checked or used.

``docs/contract.md`` describes the form of the file.
"""

from __future__ import annotations

import dataclasses
import re
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path

from lib.errors import ContractError
from lib.record.contract import (
    DEFAULT_MAX_BYTES,
    DEFAULT_MAX_CHARS,
    FEATURE_KINDS,
    MAX_INTEGER,
    Contract,
    Field,
    Kind,
    Names,
    OutputNames,
    Value,
    build_event_time,
    build_label,
)
from lib.record.contract_table import ContractTable, is_number
from lib.record.prediction import FIXED_NAMES, list_fields
from lib.record.stand_in import derive_stand_in, find_fault

_TOP = ("name", "max_bytes", "identifier", "event_time", "label", "output", "names", "features")
_IDENTIFIER = ("name", "description", "pattern", "max_chars", "path", "stand_in")
_EVENT_TIME = ("name", "description", "path")
_LABEL = ("name", "description", "negative", "positive")
_NAMES = tuple(field.name for field in dataclasses.fields(Names))
_OUTPUT = tuple(field.name for field in dataclasses.fields(OutputNames))
_FEATURE = (
    *("name", "kind", "description", "unit", "allowed", "minimum", "maximum", "pattern"),
    *("max_chars", "nullable", "numeric_text", "blank", "singled_out", "path", "stand_in"),
)
# Key → kinds of fields that may have it.
_KEYS_OF_KINDS = {
    "allowed": (Kind.CATEGORY,),
    "minimum": (Kind.INTEGER, Kind.NUMBER),
    "maximum": (Kind.INTEGER, Kind.NUMBER),
    "unit": (Kind.INTEGER, Kind.NUMBER),
    "numeric_text": (Kind.INTEGER, Kind.NUMBER),
    "blank": (Kind.INTEGER, Kind.NUMBER),
    "singled_out": (Kind.INTEGER,),
    "pattern": (Kind.TEXT,),
    "max_chars": (Kind.TEXT,),
}
_DEFAULT_IDENTIFIER_PATTERN = r"\S(?:.{0,198}\S)?"
# A domain's name becomes a part of topics, groups and folders.
_DOMAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
# The names that Kafka takes for topics.
_TOPIC = re.compile(r"[A-Za-z0-9._-]{1,200}")
# A field's name is a column of Spark and of files, and a key in JSON.
_FORBIDDEN_IN_NAMES = re.compile(r"[`'\"\\\x00-\x1f\x7f]")
# The columns that the plan has beside the record's; Spark ignores the case of names.
_TAKEN = frozenset(
    {
        *("source_key", "source_value", "source_headers", "source_topic", "source_partition"),
        *("source_offset", "source_timestamp", "parsed", "passes", "violations", "probability"),
    }
)


def read_contract(path: Path) -> Contract:
    """Read a contract's file.

    Raises:
        ContractError: the file cannot be read or is no contract; the error names line or key.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise ContractError(f"{path}: no such file", hint="name a contract's TOML file") from error
    except (OSError, UnicodeDecodeError) as error:
        raise ContractError(f"{path}: cannot be read: {error}") from error
    return parse_contract(text, str(path))


def parse_contract(text: str, place: str) -> Contract:
    """Read a contract from the text of its file.

    Args:
        text: the text in TOML.
        place: the name of the file in messages.

    Raises:
        ContractError: the text is no contract; the error names line or key.
    """
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ContractError(f"{place}: no TOML: {error}") from error
    top = ContractTable(values, place, "", _TOP)
    name = top.text("name")
    if _DOMAIN.fullmatch(name) is None:
        top.refuse("name", name, "up to 64 letters, digits, '-' and '_'")
    identifier = _read_identifier(top.table("identifier", _IDENTIFIER, needed=True))
    event_time = _read_event_time(top) if top.has("event_time") else None
    label, positive = _read_label(top.table("label", _LABEL, needed=True))
    contract = Contract(
        name=name,
        identifier=identifier,
        features=tuple(_read_feature(table) for table in top.tables("features", _FEATURE)),
        event_time=event_time,
        label=label,
        positive_label=positive,
        max_bytes=top.count("max_bytes", None) or DEFAULT_MAX_BYTES,
        output=_read_output(top.table("output", _OUTPUT), identifier),
        names=_read_names(top.table("names", _NAMES), name) if top.has("names") else None,
    )
    _check_names(contract, top)
    _check_output(contract, top)
    return contract


def _read_identifier(table: ContractTable) -> Field:
    field = Field(
        name=table.text("name"),
        kind=Kind.TEXT,
        description=table.text("description", ""),
        stand_in=table.raw("stand_in"),
        pattern=_read_pattern(table, _DEFAULT_IDENTIFIER_PATTERN),
        max_chars=table.count("max_chars", None),
        path=_read_path(table),
    )
    return _with_stand_in(table, field)


def _read_event_time(top: ContractTable) -> Field:
    table = top.table("event_time", _EVENT_TIME)
    return build_event_time(table.text("name"), table.text("description", ""), _read_path(table))


def _read_label(table: ContractTable) -> tuple[Field, str]:
    """Read the label's field and its positive value."""
    negative, positive = table.text("negative"), table.text("positive")
    if negative == positive:
        table.refuse("positive", f'"{positive}" twice', "two different values")
    name, description = table.text("name"), table.text("description", "")
    return build_label(name, negative, positive, description), positive


def _read_output(table: ContractTable, identifier: Field) -> OutputNames:
    default = OutputNames(identifier.name)
    found = {key: table.text(key, getattr(default, key)) for key in _OUTPUT}
    for key, name in found.items():
        if _FORBIDDEN_IN_NAMES.search(name):
            table.refuse(key, name, "a name without quotes, backslashes and control characters")
        if name in FIXED_NAMES.values():
            table.refuse(key, name, "another name: every prediction has a field of this one")
    return OutputNames(**found)


def _read_names(table: ContractTable, domain: str) -> Names:
    derived = Names.derive(domain)
    found = {key: table.text(key, getattr(derived, key)) for key in _NAMES}
    for key, text in found.items():
        if _TOPIC.fullmatch(text) is None:
            table.refuse(key, text, "up to 200 letters, digits, '.', '_' and '-'")
    return Names(**found)


def _read_feature(table: ContractTable) -> Field:
    kind = _read_kind(table)
    for key, kinds in _KEYS_OF_KINDS.items():
        if table.has(key) and kind not in kinds:
            listed = " or ".join(kinds)
            table.refuse(key, f"it beside kind {kind}", f"it beside kind {listed} only")
    field = Field(
        name=table.text("name"),
        kind=kind,
        description=table.text("description", ""),
        stand_in=table.raw("stand_in"),
        unit=table.text("unit", ""),
        allowed=table.texts("allowed"),
        minimum=table.number("minimum"),
        maximum=table.number("maximum"),
        pattern=_read_pattern(table, None),
        nullable=table.flag("nullable"),
        numeric_text=table.flag("numeric_text"),
        blank=table.number("blank"),
        max_chars=table.count("max_chars", DEFAULT_MAX_CHARS if kind is Kind.TEXT else None),
        singled_out=_read_integers(table, "singled_out"),
        path=_read_path(table),
    )
    if kind is Kind.CATEGORY and not field.allowed:
        table.refuse("allowed", "nothing", "an array of at least one string")
    if field.is_numeric:
        _check_numbers(table, field)
    return _with_stand_in(table, field)


def _read_kind(table: ContractTable) -> Kind:
    kinds = [str(kind) for kind in FEATURE_KINDS]
    text = table.text("kind")
    if text not in kinds:
        table.refuse("kind", f'"{text}"', f"one of {', '.join(kinds)}")
    return Kind(text)


def _read_pattern(table: ContractTable, default: str | None) -> str | None:
    pattern: str | None = table.text("pattern", default)
    if pattern is not None:
        try:
            re.compile(pattern, re.ASCII)
        except re.error as error:
            table.refuse("pattern", f"{pattern} ({error})", "a regular expression")
    return pattern


def _read_integers(table: ContractTable, name: str) -> tuple[int, ...]:
    found = table.raw(name)
    if found is None:
        return ()
    if not isinstance(found, list) or any(type(it) is not int for it in found):
        table.refuse(name, found, "an array of integers")
    return tuple(found)


def _read_path(table: ContractTable) -> tuple[str, ...]:
    """Read names joined by dots, or an array of names that may have dots themselves."""
    if isinstance(table.raw("path"), list):
        parts = table.texts("path")
    else:
        text = table.text("path", "")
        parts = tuple(text.split(".")) if text else ()
    if not all(parts) or any(_FORBIDDEN_IN_NAMES.search(part) for part in parts):
        found = f'"{".".join(parts)}"'
        table.refuse("path", found, 'names joined by dots, like "account.income"')
    return parts


def _check_numbers(table: ContractTable, field: Field) -> None:
    low, high = field.range
    if low > high:
        table.refuse("maximum", field.maximum, f"at least the minimum, {field.minimum}")
    if field.kind is Kind.INTEGER:
        for key in ("minimum", "maximum"):
            bound = getattr(field, key)
            if bound is not None and (bound != int(bound) or abs(bound) > MAX_INTEGER):
                table.refuse(key, bound, f"an integer from -{MAX_INTEGER} to {MAX_INTEGER}")
    if field.blank is None:
        return
    if not field.numeric_text:
        table.refuse("blank", field.blank, "numeric_text = true beside it")
    if (fault := find_fault(field.blank, field)) is not None:
        table.refuse("blank", field.blank, fault)


def _with_stand_in(table: ContractTable, field: Field) -> Field:
    """Give the field the stand-in of the file, or one that follows from its rules."""
    given: Value = table.raw("stand_in")
    stand_in = derive_stand_in(field) if given is None else given
    if stand_in is None and not field.nullable:
        table.refuse("stand_in", "nothing that the pattern allows", "a text that matches it")
    fault = None if given is None else find_fault(given, field)
    if fault is not None:
        table.refuse("stand_in", repr(given) if isinstance(given, str) else given, fault)
    if is_number(stand_in) and field.kind is Kind.NUMBER:
        stand_in = float(stand_in or 0.0)
    return dataclasses.replace(field, stand_in=stand_in)


def _check_names(contract: Contract, top: ContractTable) -> None:
    """Refuse names that columns cannot have, and two fields with one name or one place."""
    seen: dict[str, str] = {}
    for key, field in _list_fields(contract):
        if _FORBIDDEN_IN_NAMES.search(field.name):
            expected = "a name without quotes, backslashes and control characters"
            top.refuse(f"{key}.name", repr(field.name), expected)
        folded = field.name.casefold()
        if folded in _TAKEN:
            top.refuse(f"{key}.name", field.name, "another name: the plan has a column of this one")
        if folded in seen:
            found = f"{field.name}, which is the name of {seen[folded]} too"
            top.refuse(f"{key}.name", found, "names that differ in more than their case")
        seen[folded] = key
    _check_places((field for _, field in _list_fields(contract)), contract, top)


def _check_places(fields: Iterable[Field], contract: Contract, top: ContractTable) -> None:
    """Refuse two values at one place, and a value that is also the object of another one."""
    places: dict[tuple[str, ...], str] = {}
    for field in fields:
        if field is contract.label:
            continue
        other = places.setdefault(field.place, field.name)
        if other != field.name:
            found = f"{field.name} at {'.'.join(field.place)}, where {other} stands too"
            top.refuse("features", found, "a place of its own")
    for place, name in places.items():
        for length in range(1, len(place)):
            outer = places.get(place[:length])
            if outer is not None:
                top.refuse(
                    "features",
                    f"{name} at {'.'.join(place)}, inside of {outer} at {'.'.join(place[:length])}",
                    "a place that is not inside of another value",
                )


def _check_output(contract: Contract, top: ContractTable) -> None:
    """Refuse a prediction with two fields of one name, which cannot become columns."""
    names = [field.name.casefold() for field in list_fields(contract, reasons=True)]
    double = next((name for name in names if names.count(name) > 1), None)
    if double is not None:
        top.refuse("output", f"{double} twice", "a name for each field")


def _list_fields(contract: Contract) -> Iterator[tuple[str, Field]]:
    yield "identifier", contract.identifier
    if contract.event_time is not None:
        yield "event_time", contract.event_time
    yield "label", contract.label
    for position, field in enumerate(contract.features, 1):
        yield f"features[{position}]", field
