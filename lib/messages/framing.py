"""Recognises well-known framings around records, from the first bytes of a value.

A record in one of them becomes a dead letter, whose message says what it looks like and what helps.
:data:`FRAMINGS` is the table, from which both encoders derive.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from lib.record.contract import Contract

#: The number of bytes at the beginning of a value that the patterns see.
HEAD_BYTES = 256


@dataclass(frozen=True)
class Framing:
    """One row of the table.

    Attributes:
        name: a phrase for what a value looks like.
        remedy: the setting, or the change of the producer, that helps.
        pattern: a pattern for the head of a value, in syntax of Java and Python; a byte is one
            character of Latin-1.
        members: the members of the JSON object that the framing puts around a record. A contract
            that has a value inside of one knows the framing.
    """

    name: str
    remedy: str
    pattern: str
    members: frozenset[str] = frozenset()

    @property
    def hint(self) -> str:
        """The sentence for people, without a subject."""
        return f"looks like {self.name}: {self.remedy}"


_ANY = r"[\s\S]*"
_PLAIN_JSON = (
    "let the producer write plain JSON, in Kafka Connect with"
    " org.apache.kafka.connect.json.JsonConverter and schemas.enable=false"
)
_UNWRAP = "or give the fields of the contract a path inside of it, such as path = "

#: In the order in which they are tried: the first that matches is the value's.
FRAMINGS = (
    Framing(
        "text with a byte-order mark",
        "let the producer write UTF-8 without one",
        rf"\xEF\xBB\xBF{_ANY}",
    ),
    Framing(
        "UTF-16",
        "let the producer write UTF-8",
        rf'(?:\xFF\xFE|\xFE\xFF|\{{\x00["\s}}]\x00|\x00\{{\x00["\s}}]){_ANY}',
    ),
    Framing(
        "the framing of a schema registry",
        _PLAIN_JSON,
        rf"(?:\x00[\s\S]{{4}}|\x03[\x00\x05][\s\S]{{16}}){_ANY}",
    ),
    Framing(
        "compressed bytes",
        "let Kafka compress instead, by compression.type of the producer",
        r"(?:\x1F\x8B|\x78[\x01\x9C\xDA]|\x28\xB5\x2F\xFD|\x04\x22\x4D\x18|BZh\d"
        rf"|PK\x03\x04|\xFF\x06\x00\x00sNaPpY|\x82SNAPPY){_ANY}",
    ),
    Framing(
        "an Avro or Parquet file, or a serialized Java object",
        _PLAIN_JSON,
        rf"(?:Obj\x01|PAR1|\xAC\xED\x00\x05){_ANY}",
    ),
    Framing("XML", _PLAIN_JSON, rf"\s*<[?!A-Za-z]{_ANY}"),
    Framing(
        "JSON in a JSON string",
        "the producer serializes twice; give its serializer the object, not its text",
        rf'\s*"(?:\s|\\[nrt])*\{{{_ANY}',
    ),
    Framing(
        "JSON in base64",
        "let the producer send the bytes themselves, or JSON",
        r'\s*"?(?:ey[AIJ]|ewo|ew0K|ewk)[A-Za-z0-9+/_=\s-]{5,}"?\s*',
    ),
    Framing(
        "a list of records",
        "let the producer send each record as a message of its own",
        rf"\s*\[\s*\{{{_ANY}",
    ),
    Framing(
        "Kafka Connect's envelope of schema and payload",
        f'set value.converter.schemas.enable=false in the connector, {_UNWRAP}"payload.NAME"',
        rf'\s*\{{\s*"schema"\s*:\s*(?:null|\{{){_ANY}',
        frozenset({"payload"}),
    ),
    Framing(
        "Debezium's envelope of a change",
        f'unwrap it with Debezium\'s transform ExtractNewRecordState, {_UNWRAP}"after.NAME"',
        rf'\s*\{{\s*"before"\s*:\s*(?:null|\{{){_ANY}',
        frozenset({"after"}),
    ),
    Framing(
        "a CloudEvent in structured mode",
        f'let the producer send it in binary mode, {_UNWRAP}"data.NAME"',
        rf'\s*\{{{_ANY}"specversion"\s*:\s*"{_ANY}',
        frozenset({"data"}),
    ),
)


@lru_cache(maxsize=8)
def list_framings(contract: Contract) -> tuple[Framing, ...]:
    """List the framings that records of a contract do not have themselves."""
    known = {spec.place[0] for spec in contract.checked}
    return tuple(it for it in FRAMINGS if not it.members & known)


def find_framing(value: bytes | None, contract: Contract) -> Framing | None:
    """Find the framing that a value seems to have; None for no known one."""
    head = (value or b"")[:HEAD_BYTES].decode("latin-1")
    return next((it for it in list_framings(contract) if _compile(it).fullmatch(head)), None)


@lru_cache(maxsize=len(FRAMINGS))
def _compile(framing: Framing) -> re.Pattern[str]:
    return re.compile(framing.pattern, re.ASCII)
