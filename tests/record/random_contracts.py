"""Draw contracts of every shape, and records that keep or break them, from a seed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import islice
from random import Random
from typing import Any

from lib.record.contract import (
    Contract,
    Field,
    Kind,
    OutputNames,
    build_event_time,
    build_label,
)
from lib.record.place import put
from lib.record.stand_in import add_stand_in
from lib.synth import break_record, draw_records, encode_record

_NAMES = (
    "amount",
    "Loan Amount",
    "größe",
    "x.y",
    "class",
    "a-b",
    "Umsatz €",
    "f",
    "F2",
    "n_1",
    "日",
)
_OUTER = ("account", "meta", "äußeres")
_PATTERNS = (None, r"[A-Z]{2}-\d{3}", r"[a-zäöü ]{0,8}", r"(?:yes|no|\d+)")
# A rule may easily take these values for what they are not.
STRANGE: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 2.5, 1e300, 12, 12.0, "", " ", "12", " 12 ", "1_000", "\u00a0"),
    *("12\u00a0", "\t\n", "1e999", "-1e999", "1e-400", "5.", "+.5", "--1", "1,5", "1 2", "12d"),
    *(
        "\u0661\u0662",
        "\uff11\uff12",
        "NaN",
        "Infinity",
        "true",
        "false",
        "null",
        "[]",
        '{"a": 1}',
        "x" * 2_000,
    ),
    *([], {}, [1], {"a": 1}, "Ja", "yes", "12.5", "1e3", "-0", "0x10", "AB-123", "ab cd", "\n"),
)


def draw_contract(seed: int) -> Contract:
    """Draw a contract of one to six features; the same seed gives the same contract."""
    chance = Random(f"contract {seed}")
    names = chance.sample(_NAMES, chance.randint(1, 6))
    nested = chance.random() < 0.5
    identifier = Field(
        "id",
        Kind.TEXT,
        "",
        "AA-000",
        pattern=r"[A-Z]{2}-\d{3,9}",
        path=_draw_path(chance, nested, "key"),
    )
    time = build_event_time("at", path=_draw_path(chance, nested, "at"))
    return Contract(
        name=f"random-{seed}",
        identifier=identifier,
        features=tuple(_draw_field(chance, name, nested=nested) for name in names),
        event_time=time if chance.random() < 0.7 else None,
        label=build_label("label", "n", "p"),
        positive_label="p",
        max_bytes=chance.choice((400, 8_192)),
        output=OutputNames("id"),
    )


def draw_values(contract: Contract, count: int, seed: int) -> list[bytes | None]:
    """Draw values of messages: valid records, broken ones, and ones with strange values."""
    chance = Random(f"values {seed}")
    return list(islice(_iter_values(contract, chance, seed), count))


def _iter_values(contract: Contract, chance: Random, seed: int) -> Iterator[bytes | None]:
    for record in draw_records(contract, seed):
        value = encode_record(record, contract)
        match chance.randrange(4):
            case 0:
                yield value
            case 1:
                broken = break_record(value, chance, contract)
                yield broken if broken is None or len(broken) < 20_000 else broken[:9_000]
            case 2:
                spec = chance.choice(contract.checked)
                put(record, spec.place, chance.choice(STRANGE))
                yield json.dumps(record).encode()
            case 3:
                _disturb(record, contract, chance)
                yield json.dumps(record, ensure_ascii=False).encode()


def _disturb(record: dict[str, Any], contract: Contract, chance: Random) -> None:
    """Change what surrounds a value, or change several values at once."""
    for spec in chance.sample(contract.checked, min(3, len(contract.checked))):
        match chance.randrange(3):
            case 0 if len(spec.place) > 1:
                record[spec.place[0]] = chance.choice(STRANGE)
                return
            case 1:
                record.pop(spec.place[0], None)
                return
            case _:
                put(record, spec.place, chance.choice(STRANGE))


def _draw_path(chance: Random, nested: bool, name: str) -> tuple[str, ...]:
    if not nested or chance.random() < 0.4:
        return ()
    outer = chance.choice(_OUTER)
    return (outer, name) if chance.random() < 0.7 else (outer, "inner", name)


def _draw_field(chance: Random, name: str, *, nested: bool) -> Field:
    kind = chance.choice((Kind.CATEGORY, Kind.INTEGER, Kind.NUMBER, Kind.BOOLEAN, Kind.TEXT))
    facts: dict[str, Any] = {
        "nullable": chance.random() < 0.4,
        "path": _draw_path(chance, nested, name),
    }
    if kind is Kind.CATEGORY:
        facts["allowed"] = tuple(chance.sample(("yes", "no", "Ja", "true", "12", "é"), 3))
    elif kind is Kind.TEXT:
        facts |= {"max_chars": chance.choice((8, 1_000)), "pattern": chance.choice(_PATTERNS)}
    elif kind in (Kind.INTEGER, Kind.NUMBER):
        facts["minimum"] = chance.choice((None, -10, 0))
        facts["maximum"] = chance.choice((None, 100, 2_000))
        facts["numeric_text"] = chance.random() < 0.5
        if facts["numeric_text"] and chance.random() < 0.5:
            facts["blank"] = 0.0
    return add_stand_in(Field(name, kind, "", None, **facts))
