"""Build hostile records from a seed and their numbers alone, so that none need be kept."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from lib.decode.engines.python import decode_value
from lib.messages.dead_letter import (
    HEADER_CLASS,
    HEADER_MESSAGE,
    HEADER_OFFSET,
    HEADER_PARTITION,
    HEADER_RETRY_COUNT,
    HEADER_STAGE,
    HEADER_TOPIC,
    HEADER_VIOLATIONS,
)
from lib.messages.header_names import CONNECT_PREFIX, SCORING_PREFIX
from tests.hostile.mutations import mutate_value
from tests.support.records import VALID
from tests.support.telco import CUSTOMER

Headers = tuple[tuple[str, bytes | None], ...]

_IDENTIFIER = re.compile(r"(\d{8})-FUZZ")
_HOSTILE_KEY_SHARE = 0.05
_HOSTILE_HEADERS_SHARE = 0.06


@dataclass(frozen=True)
class HostileRecord:
    """A record with a hostile value, key or headers.

    Attributes:
        key: bytes of the identifier, or any bytes.
        value: any bytes, or None.
        headers: any headers; mostly there are none.
    """

    key: bytes | None
    value: bytes | None
    headers: Headers = ()


def build_record(seed: int, index: int) -> HostileRecord:
    """Build the record with a number.

    Each answer can be traced to its record: a record whose key is hostile keeps its identifier,
    unless it ends as a dead letter, which itself says where it came from.
    """
    chance = Random(f"hostile/{seed}/{index}")
    identifier = name_record(index)
    key: bytes | None = identifier.encode()
    value = mutate_value({**VALID, "customerID": identifier}, chance)
    if chance.random() < _HOSTILE_KEY_SHARE:
        decoded = decode_value(value, CUSTOMER)
        if not decoded.is_valid or decoded.identifier == identifier:
            key = chance.choice(_KEYS)(chance)
    headers: Headers = ()
    if chance.random() < _HOSTILE_HEADERS_SHARE:
        headers = chance.choice(_HEADERS)(chance)
    return HostileRecord(key, value, headers)


def name_record(index: int) -> str:
    """Return the identifier of the record with a number."""
    return f"{index:08d}-FUZZ"


def find_index(text: str) -> int | None:
    """Return the number of the record with an identifier; None if the identifier is not ours."""
    match = _IDENTIFIER.fullmatch(text)
    return None if match is None else int(match[1])


_KEYS: tuple[Callable[[Random], bytes | None], ...] = (
    lambda chance: None,
    lambda chance: b"",
    lambda chance: b"\x00" * chance.choice((1, 8)),
    lambda chance: chance.randbytes(chance.choice((1, 16, 64))),
    lambda chance: b"same for many",
    lambda chance: b'{"customerID": "x"}',
    lambda chance: b"\xff\xfe\xed\xa0\x80",
    lambda chance: b"k" * chance.choice((300, 300, 300, 10_000)),
)

_OWN_NAMES = (
    *(HEADER_TOPIC, HEADER_PARTITION, HEADER_OFFSET, HEADER_STAGE, HEADER_CLASS, HEADER_MESSAGE),
    *(HEADER_VIOLATIONS, HEADER_RETRY_COUNT, HEADER_RETRY_COUNT, HEADER_RETRY_COUNT),
    *(CONNECT_PREFIX, SCORING_PREFIX, SCORING_PREFIX + "x", CONNECT_PREFIX + "\x00"),
)
_CONTENTS = (
    *(None, b"", b"3", b" 7 ", b"-1", b"many", b"1e3", b"NaN", b"99999999999", b"2147483647"),
    *(b"\x00", b"\xff\xfe", b"[]", b"{", b"null", b"x" * 300),
)


def _write_own_headers(chance: Random) -> Headers:
    """Write our own headers, as a resubmitted dead letter has them or as nobody would."""
    count = chance.choice((1, 1, 2, 8))
    return tuple((chance.choice(_OWN_NAMES), chance.choice(_CONTENTS)) for _ in range(count))


def _write_foreign_headers(chance: Random) -> Headers:
    """Write headers of any content, with names that are empty, long, not ASCII or close to ours."""
    names = (
        *("", "a", "a", "traceparent", "ü", "😀", "n" * 1_000, "a b", "a\nb", " "),
        *("__scoring", "__SCORING.x", "__connect.error", "kafka_offset", "source_headers"),
    )
    return tuple(
        (chance.choice(names), chance.choice(_CONTENTS)) for _ in range(chance.choice((1, 2, 5)))
    )


def _write_many_headers(chance: Random) -> Headers:
    """Write up to thousands of headers, some with the same name."""
    count = chance.choice((10, 10, 10, 100, 100, 2_000))
    return tuple((f"h{number % 50}", b"%d" % number) for number in range(count))


def _write_large_header(chance: Random) -> Headers:
    """Write a header of up to tens of kilobytes."""
    return (("large", chance.randbytes(chance.choice((1_000, 1_000, 5_000, 30_000)))),)


_HEADERS: tuple[Callable[[Random], Headers], ...] = (
    _write_own_headers,
    _write_own_headers,
    _write_foreign_headers,
    _write_foreign_headers,
    _write_many_headers,
    _write_large_header,
)
