"""Drafts a contract from a table, which a person has to check and correct."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from lib.errors import SettingsError
from lib.record.cells import BOOLEANS
from lib.record.checks import BLANK, check_value
from lib.record.contract import (
    DEFAULT_MAX_BYTES,
    Contract,
    Field,
    Kind,
    OutputNames,
    build_event_time,
    build_label,
)
from lib.record.stand_in import add_stand_in
from lib.record.tables import Columns

# A column with more different texts than this is no category.
MAX_CATEGORIES = 30
# A drafted range goes beyond the smallest and the largest value by this share of their difference.
_SLACK = 0.1
_ID_NAMES = re.compile(r"(?i)(?:.*[_ .-])?(?:id|key|uuid|number|nr)|.*(?:Id|ID|Key)")
_LABEL_NAMES = re.compile(r"(?i)label|target|outcome|class|y")
_POSITIVE = ("yes", "true", "1", "y", "positive")
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]*", re.ASCII)
# Fields with the widest rules, to find out what a column holds.
_NUMBER = Field("", Kind.NUMBER, "", None, numeric_text=True)
_WHOLE = Field("", Kind.INTEGER, "", None)
_TIME = build_event_time("")


@dataclass(frozen=True)
class Roles:
    """The names of the columns that are no features; None stands for a guess.

    Attributes:
        identifier: the column that identifies the subject of a record.
        label: the column with the class to learn.
        positive: the label's value whose probability is predicted.
        event_time: the column with the time of the record.
    """

    identifier: str | None = None
    label: str | None = None
    positive: str | None = None
    event_time: str | None = None


@dataclass(frozen=True)
class Draft:
    """A drafted contract, with notes for the person who checks it.

    Attributes:
        contract: the contract.
        notes: one sentence for each guess and for each column that was left out.
    """

    contract: Contract
    notes: list[str] = field(default_factory=list)


def draft_contract(name: str, columns: Columns, roles: Roles) -> Draft:
    """Draft a contract from a table.

    Args:
        name: the name of the domain.
        columns: the columns from :func:`lib.record.tables.read_table`.
        roles: the columns that are known to be identifier, label and event time.

    Raises:
        SettingsError: a named column is missing, or no column can be the identifier or the label.
    """
    notes: list[str] = []
    identifier = _find(columns, roles.identifier, "--identifier") or _guess_identifier(columns)
    label = _find(columns, roles.label, "--label") or _guess_label(columns, identifier)
    time = _find(columns, roles.event_time, "--event-time") or _guess_time(columns)
    for role, found, given in (
        ("identifier", identifier, roles.identifier),
        ("label", label, roles.label),
        ("event time", time, roles.event_time),
    ):
        if found is not None and given is None:
            notes.append(f"{found} was taken for the {role}.")
    features = []
    for column, values in columns.items():
        if column in (identifier, label, time):
            continue
        drafted, note = draft_field(column, values)
        notes += [note] if note else []
        if drafted is not None:
            features.append(drafted)
    negative, positive = _order_label(label, columns[label], roles.positive)
    contract = Contract(
        name=name,
        identifier=_draft_identifier(identifier, columns[identifier]),
        features=tuple(features),
        event_time=None if time is None else build_event_time(time),
        label=build_label(label, negative, positive),
        positive_label=positive,
        max_bytes=DEFAULT_MAX_BYTES,
        output=OutputNames(identifier),
    )
    return Draft(contract, notes)


def draft_field(name: str, values: Sequence[Any]) -> tuple[Field | None, str | None]:
    """Draft a feature from the values of its column.

    Returns:
        The feature, and a note for the person who checks it. The feature is None for a column
        without values.
    """
    present = [value for value in values if value is not None and value != ""]
    nullable = len(present) < len(values)
    if not present:
        return None, f"{name} was left out: it has no values."
    texts = [value for value in present if isinstance(value, str)]
    if all(isinstance(value, bool) or value in BOOLEANS for value in present):
        return add_stand_in(Field(name, Kind.BOOLEAN, "", None, nullable=nullable)), None
    blanks = {text for text in texts if BLANK.fullmatch(text)}
    others = [value for value in present if value not in blanks]
    if others and _are_all(_NUMBER, others):
        numbers = [float(value) for value in others]
        drafted = _draft_number(name, numbers, nullable=nullable, blanks=bool(blanks))
        note = f"{name} has blanks, which were taken for 0." if blanks else None
        return drafted, note
    different = sorted({str(value) for value in present})
    if len(different) <= MAX_CATEGORIES:
        allowed = tuple(different)
        return add_stand_in(
            Field(name, Kind.CATEGORY, "", None, allowed=allowed, nullable=nullable)
        ), None
    longest = max(len(text) for text in different)
    drafted = add_stand_in(
        Field(name, Kind.TEXT, "", None, nullable=nullable, max_chars=2 * longest)
    )
    return drafted, f"{name} has {len(different):,} different texts: most models cannot use it."


def _draft_number(name: str, numbers: Sequence[float], *, nullable: bool, blanks: bool) -> Field:
    is_whole = _are_all(_WHOLE, numbers)
    low, high = min(numbers), max(numbers)
    slack = _SLACK * (high - low)
    minimum = low if low in (0.0, 1.0) else max(low - slack, 0.0 if low >= 0 else -math.inf)
    bounds = [math.floor(minimum), math.ceil(high + slack)]
    if is_whole and {*numbers} <= {0.0, 1.0}:
        bounds = [0, 1]
    if blanks:  # blanks stand for 0
        bounds = [min(bounds[0], 0), max(bounds[1], 0)]
    return add_stand_in(
        Field(
            name,
            Kind.INTEGER if is_whole else Kind.NUMBER,
            "",
            None,
            minimum=bounds[0],
            maximum=bounds[1],
            nullable=nullable,
            numeric_text=blanks,
            blank=0.0 if blanks else None,
        )
    )


def _are_all(spec: Field, values: Iterable[Any]) -> bool:
    """Tell whether all values keep the rules of a field."""
    return all(check_value(value, spec)[1] is None for value in values)


def _find(columns: Columns, name: str | None, flag: str) -> str | None:
    if name is not None and name not in columns:
        raise SettingsError(f"{flag} {name}: found the columns {', '.join(columns)}")
    return name


def _guess_identifier(columns: Columns) -> str:
    """Find a column of different values: one with a name like an identifier, else the first."""
    unique = [
        name
        for name, values in columns.items()
        if len(values) > 1
        and len({*map(str, values)}) == len(values)
        and all(isinstance(value, str | int) and value != "" for value in values)
    ]
    named = [name for name in unique if _ID_NAMES.fullmatch(name)]
    texts = [name for name in unique if all(isinstance(it, str) for it in columns[name])]
    for names in (named, texts, unique):
        if names:
            return names[0]
    raise SettingsError(
        "found no column whose values are all different, expected one for the identifier",
        hint="name it with --identifier",
    )


def _guess_label(columns: Columns, identifier: str) -> str:
    """Find a column of two values: one with a name like a label, else the last."""
    binary = [
        name
        for name, values in columns.items()
        if name != identifier
        and len({str(value) for value in values if value not in (None, "")}) == 2
    ]
    named = [name for name in binary if _LABEL_NAMES.fullmatch(name)]
    if not binary:
        raise SettingsError(
            "found no column of two values, expected one for the label",
            hint="name it with --label",
        )
    return (named or binary)[-1]


def _guess_time(columns: Columns) -> str | None:
    for name, values in columns.items():
        present = [value for value in values if value not in (None, "")]
        if present and _are_all(_TIME, present):
            return name
    return None


def _order_label(name: str, values: Sequence[Any], positive: str | None) -> tuple[str, str]:
    """Find the negative and the positive value of the label."""
    different = sorted({str(value) for value in values if value not in (None, "")})
    if len(different) != 2 or (positive is not None and positive not in different):
        raise SettingsError(
            f"column {name}: found the values {', '.join(different[:10])}, expected two"
            + ("" if positive is None else f", one of them {positive}"),
            hint="name another column with --label, or another value with --positive",
        )
    if positive is None:
        positive = next((it for it in different if it.lower() in _POSITIVE), different[1])
    return next(it for it in different if it != positive), positive


def _draft_identifier(name: str, values: Sequence[Any]) -> Field:
    texts = [str(value) for value in values]
    longest = max(map(len, texts))
    is_plain = all(_PLAIN.fullmatch(text) for text in texts)
    pattern = _PLAIN.pattern if is_plain else r"\S(?:.*\S)?"
    drafted = Field(name, Kind.TEXT, "", None, pattern=pattern, max_chars=2 * longest)
    return add_stand_in(drafted)
