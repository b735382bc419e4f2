"""Spoil a record in many ways, from a changed digit to a megabyte of brackets, from a seed.

Each mutation takes a valid customer as a dict and returns bytes, valid or not, as
``lib.decode.engines.python.decode_value`` decides. :data:`VALUE_MUTATIONS` says how often each is
drawn. The large ones are rare, so a million records weigh about a gigabyte.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from random import Random
from typing import Any

from lib.synth.faults import FAULTS
from tests.support.records import ACCEPTED, BROKEN
from tests.support.telco import CUSTOMER

Fields = dict[str, Any]
Mutation = Callable[[Fields, Random], bytes | None]

# Brokers take 1 MB by default; this leaves more room than a key and headers need.
LARGEST_BYTES = 1_000_000

_NAMES = tuple(spec.name for spec in CUSTOMER.checked)
_NAMED_CASES = tuple(value for value, _ in (*BROKEN.values(), *ACCEPTED.values()))


def mutate_value(fields: Fields, chance: Random) -> bytes | None:
    """Apply a mutation that chance chooses to a customer."""
    (mutation,) = chance.choices(_MUTATIONS, cum_weights=_CUMULATED)
    return mutation(dict(fields), chance)


def encode(fields: Fields, chance: Random) -> bytes:
    """Write JSON in one of its usual forms."""
    separators = chance.choice(((",", ":"), (", ", ": ")))
    is_ascii = chance.random() < 0.5
    # A lone surrogate is text for Python, but not UTF-8; "surrogatepass" writes it nevertheless.
    text = json.dumps(fields, ensure_ascii=is_ascii, separators=separators)
    return text.encode("utf-8", "surrogatepass")


# --- Fields ---


def change_fields(fields: Fields, chance: Random) -> bytes:
    """Give one to three fields values of any type, and sometimes change a byte after that."""
    for _ in range(chance.randint(1, 3)):
        name = chance.choice(_NAMES)
        fields[name] = chance.choice(_REPLACEMENTS)(chance, fields.get(name))
    value = encode(fields, chance)
    return change_bytes(value, chance) if chance.random() < 0.3 else value


def change_letters(fields: Fields, chance: Random) -> bytes:
    """Write text that looks like the expected text, or that is hard to handle."""
    name = chance.choice(_NAMES)
    old = str(fields.get(name, ""))
    fields[name] = chance.choice(
        (old.upper(), f" {old}", f"{old}\u00a0", f"{old}\x00", *_HARD_TEXTS)
    )
    return encode(fields, chance)


def write_number_token(fields: Fields, chance: Random) -> bytes:
    """Write a number in a form that few writers use, or that is not allowed."""
    return _put_token(fields, chance, chance.choice(_NUMBER_TOKENS))


def write_long_number(fields: Fields, chance: Random) -> bytes:
    """Write a number of up to thousands of digits, in one of several forms."""
    digits = chance.choice((20, 100, 308, 309, 400, 999, 1_000, 1_001, 4_300, 4_301, 20_000))
    form = chance.choice(
        ("{}", "-{}", "0.{}", "1.{}", "{}.5", "{}e5", "1e{}", "1e-{}", "{}e-20000")
    )
    first = chance.choice("123456789")
    return _put_token(fields, chance, form.format(first * digits).encode())


def write_escapes(fields: Fields, chance: Random) -> bytes:
    """Write escapes in names and texts: legal ones, illegal ones, and lone surrogates."""
    if chance.random() < 0.4:  # the same record, but with a name written in escapes
        name = chance.choice(_NAMES)
        escaped = "".join(f"\\u{ord(letter):04x}" for letter in name)
        return encode(fields, chance).replace(f'"{name}"'.encode(), f'"{escaped}"'.encode(), 1)
    return _put_token(fields, chance, b'"' + chance.choice(_ESCAPES) + b'"')


def write_twice(fields: Fields, chance: Random) -> bytes:
    """Write a field again, up to a thousand times, with an equal or another value."""
    name = chance.choice(_NAMES)
    value = encode(fields, chance)
    times = chance.choice((1, 1, 2, 10, 1_000))
    other = json.dumps(chance.choice((None, fields.get(name), "No", 1, {}, [], "x"))).encode()
    doubled = b",".join([json.dumps(name).encode() + b":" + other] * times)
    if chance.random() < 0.5:
        return b"{" + doubled + b"," + value[1:]
    return value[:-1] + b"," + doubled + b"}"


# --- Structure ---


def nest_deeply(fields: Fields, chance: Random) -> bytes:
    """Write up to tens of thousands of brackets: closed or not, in a field or around the record."""
    depth = chance.choice((2, 30, 60, 63, 64, 65, 66, 100, 250, 499, 500, 501, 998, 999, 1_000))
    depth = chance.choice((depth, depth, 1_001, 1_002, 2_000, 10_000, 30_000))
    opening, closing = chance.choice(((b"[", b"]"), (b'{"a":', b"}"), (b'[{"a":', b"}]")))
    inner = chance.choice((b"1", b"null", b'"x"', b"[]", b"{}"))
    ends = depth if chance.random() < 0.75 else chance.randrange(depth)
    token = opening * depth + inner + closing * ends
    shape = chance.random()
    if shape < 0.5:
        return _put_token(fields, chance, token, name="note")
    if shape < 0.75:
        return _put_token(fields, chance, token)
    return token if shape < 0.9 else opening * depth + encode(fields, chance) + closing * ends


def add_fields(fields: Fields, chance: Random) -> bytes:
    """Add up to thousands of unknown fields before or behind those of the customer."""
    count = chance.choice((1, 3, 10, 100, 1_000, 4_000))
    added: Fields = {}
    for number in range(count):
        name = chance.choice((f"f{number}", f"{chance.choice(_NAMES)}{number}", f"ü{number}"))
        added[name] = chance.choice((None, number, "x", [number], {"y": number}, 1.5, True))
    whole = {**added, **fields} if chance.random() < 0.5 else {**fields, **added}
    return encode(whole, chance)


def name_fields_badly(fields: Fields, chance: Random) -> bytes:
    """Add a name that is empty, long, or like those that parsers and this project use inside."""
    name = chance.choice((*_HARD_TEXTS, *_HARD_NAMES, "n" * chance.choice((1_000, 49_999, 60_000))))
    fields[name] = chance.choice((True, False, None, 1, "x", {"a": 1}))
    if chance.random() < 0.3:  # the added name replaces a field
        fields.pop(chance.choice(_NAMES), None)
    return encode(fields, chance)


def wrap(fields: Fields, chance: Random) -> bytes:
    """Make the record a part of something else, or write several records."""
    value = encode(fields, chance)
    before, behind = chance.choice(_WRAPPINGS)
    return before + value + behind.replace(b"@", value)


def write_noise(fields: Fields, chance: Random) -> bytes:
    """Write bytes that are not a record, some of them in other formats."""
    if chance.random() < 0.5:
        return chance.choice(_FOREIGN) + chance.randbytes(chance.randrange(40))
    return chance.randbytes(chance.choice((0, 1, 2, 10, 500, 2_000)))


# --- Bytes and encodings ---


def spoil_bytes(fields: Fields, chance: Random) -> bytes:
    """Change, add, remove or swap one to a hundred bytes."""
    value = encode(fields, chance)
    for _ in range(chance.choice((1, 1, 1, 2, 5, 100))):
        value = change_bytes(value, chance)
    return value


def change_bytes(value: bytes, chance: Random) -> bytes:
    """Make one change at a random place."""
    if not value:
        return chance.randbytes(1)
    return chance.choice(_BYTE_CHANGES)(chance, value, chance.randrange(len(value)))


def write_other_encoding(fields: Fields, chance: Random) -> bytes:
    """Write JSON in UTF-16, UTF-32, UTF-7, EBCDIC …, with and without a byte-order mark."""
    text = json.dumps({**fields, "note": chance.choice(("ä", "€", "😀", ""))}, ensure_ascii=False)
    encoding = chance.choice(_ENCODINGS)
    return text.encode(encoding, "replace")


def break_utf8(fields: Fields, chance: Random) -> bytes:
    """Put sequences that are not UTF-8 into a text or between fields."""
    if chance.random() < 0.5:
        return _put_token(fields, chance, b'"' + chance.choice(_NO_UTF8) + b'"')
    value = encode(fields, chance)
    at = chance.randrange(len(value) + 1)
    return value[:at] + chance.choice(_NO_UTF8) + value[at:]


def put_white_space(fields: Fields, chance: Random) -> bytes:
    """Put JSON's white space, or what looks like it, around or inside the record."""
    value = encode(fields, chance)
    blanks = chance.choice(_BLANKS) * chance.choice((1, 1, 3, 1_000))
    where = chance.randrange(3)
    if where == 2:
        return value.replace(b":", b":" + blanks, 1)
    return blanks + value if where == 0 else value + blanks


# --- Size ---


def stretch_text(fields: Fields, chance: Random) -> bytes:
    """Write a long text in a field, shorter than the largest size that is parsed, or near it."""
    limit = CUSTOMER.max_bytes
    length = chance.choice((300, 5_000, limit // 2, limit - 700, limit, limit + 1))
    letter = chance.choice(("x", "ä", "\\", '"', "\u2028", "\x00", "😀"))
    name = chance.choice(("note", chance.choice(_NAMES)))
    count = max(length // len(json.dumps(letter, ensure_ascii=False).encode()), 1)
    return encode({**fields, name: letter * count}, chance)


def pad_to_limit(fields: Fields, chance: Random) -> bytes:
    """Write a valid record of exactly the largest size that is parsed, or one byte off."""
    target = CUSTOMER.max_bytes + chance.choice((-1, 0, 1))
    value = encode(fields, chance)
    return value[:-1] + b" " * (target - len(value)) + b"}"


def write_slow_text(fields: Fields, chance: Random) -> bytes:
    """Write text that careless patterns try to match in a billion ways."""
    count = chance.choice((100, 5_000, 60_000))
    end = chance.choice((b"x", b"", b"}"))
    unit = chance.choice((b" ", b"1", b"-", b"1.", b"1e", b"\\\\", b"[]", b"{}", b",", b'"",'))
    if chance.random() < 0.3:
        return unit * (count // len(unit)) + end
    if chance.random() < 0.3:
        return encode(fields, chance)[:-1] + b" " * count + end
    return _put_token(fields, chance, b'"' + unit * (count // len(unit)) + end + b'"')


def fill_message(fields: Fields, chance: Random) -> bytes:
    """Fill a message up to the broker's limit with text, brackets, fields or noise."""
    size = chance.choice((LARGEST_BYTES, LARGEST_BYTES // 3))
    unit = chance.choice((b"[", b'{"a":', b"x", b"\x00", b'"', b"\\", b'{"k":1},', b"\xff"))
    filling = unit * (size // len(unit))
    return filling if chance.random() < 0.5 else _put_token(fields, chance, filling[:-1_000])


# --- Cases from other modules ---


def take_named_case(fields: Fields, chance: Random) -> bytes | None:
    """Take a case of ``tests/support/records.py``, cut off if it is large."""
    value = chance.choice(_NAMED_CASES)
    return value if value is None or len(value) < 2_000 else value[:2_000]


def take_named_fault(fields: Fields, chance: Random) -> bytes | None:
    """Take a fault of ``lib/synth/faults.py``, except the large one."""
    name = chance.choice([name for name in FAULTS if name != "oversized"])
    return FAULTS[name](encode(fields, chance), chance, CUSTOMER)


def leave(fields: Fields, chance: Random) -> bytes:
    """Write the valid record, which its bad neighbours must not harm."""
    return encode(fields, chance)


def _put_token(fields: Fields, chance: Random, token: bytes, name: str | None = None) -> bytes:
    """Write the record with one field's JSON replaced by any bytes."""
    name = chance.choice((*_NAMES, "note")) if name is None else name
    marker = "@token@"
    return encode({**fields, name: marker}, chance).replace(b'"@token@"', token, 1)


#: Mutation → how often it is drawn, in parts of the sum of all weights.
VALUE_MUTATIONS: dict[Mutation, float] = {
    leave: 12,
    change_fields: 25,
    change_letters: 8,
    write_number_token: 6,
    write_long_number: 1,
    write_escapes: 4,
    write_twice: 2,
    nest_deeply: 0.6,
    add_fields: 1,
    name_fields_badly: 1,
    wrap: 3,
    write_noise: 4,
    spoil_bytes: 16,
    write_other_encoding: 3,
    break_utf8: 4,
    put_white_space: 3,
    stretch_text: 0.2,
    pad_to_limit: 0.1,
    write_slow_text: 0.2,
    fill_message: 0.02,
    take_named_case: 3,
    take_named_fault: 3,
}
_MUTATIONS = tuple(VALUE_MUTATIONS)
_CUMULATED = [sum(list(VALUE_MUTATIONS.values())[: i + 1]) for i in range(len(_MUTATIONS))]

_REPLACEMENTS: tuple[Callable[[Random, Any], Any], ...] = (
    lambda chance, old: None,
    lambda chance, old: old,
    lambda chance, old: str(old),
    lambda chance, old: [old],
    lambda chance, old: {"value": old},
    lambda chance, old: chance.random() < 0.5,
    lambda chance, old: chance.randint(-5, 130),
    lambda chance, old: chance.uniform(-1, 1_500),
    lambda chance, old: chance.choice(["", " ", "No", "Yes", "1", "1.5", "1e3", "-1", "ä", "\t"]),
    lambda chance, old: 10 ** chance.randint(1, 40),
    lambda chance, old: chance.choice([0, 0.0, -0.0, 1.0, 120, 1000.0, 1000.0000001]),
)
_BYTE_CHANGES: tuple[Callable[[Random, bytes, int], bytes], ...] = (
    lambda chance, value, at: value[:at],
    lambda chance, value, at: value[at:],
    lambda chance, value, at: value[:at] + bytes([chance.randrange(256)]) + value[at + 1 :],
    lambda chance, value, at: (
        value[:at] + bytes([value[at] ^ 1 << chance.randrange(8)]) + value[at + 1 :]
    ),
    lambda chance, value, at: value[:at] + bytes([chance.randrange(256)]) + value[at:],
    lambda chance, value, at: value[:at] + value[at + 1 :],
    lambda chance, value, at: value + value[at : at + 100],
    lambda chance, value, at: value[at:] + value[:at],
    lambda chance, value, at: (
        value[:at] + chance.choice([b"{", b"}", b",", b'"', b"\\", b":", b"\x00"]) + value[at:]
    ),
)
_HARD_TEXTS = (
    *(
        "",
        " ",
        "\x00",
        "\n",
        "\r\n",
        "\x1f",
        "\x7f",
        "\ufeff",
        "\u2028",
        "\u200b",
        "\u202e",
        "\ufffd",
    ),
    *("e\u0301", "İ", "ß", "ﬁ", "١٢٣", "１２", "😀", "\U0010ffff", "\ud800", "\udfff\ud800"),
    *("null", "true", "NaN", "Infinity", "0x10", "1_000", "1,5", "1e", "+", ".", "1f", "9" * 400),
    *("${jndi:x}", "%s%n", "$1", "\\", "'; --", "../..", "a" * 1_000),
)
_HARD_NAMES = (
    *("\u0000end", "parsed", "is_valid", "violations", "_corrupt_record", "$", "$['tenure']"),
    *("customerid", "CUSTOMERID", "Tenure", "tenure ", "tenure\x00", "a.b", "a`b", "a'b", 'a"b'),
    *("__proto__", "probability", "source_value"),
)
_NUMBER_TOKENS = (
    *(b"+1", b"01", b"-01", b"1.", b".5", b"-", b"-0", b"-0.0", b"1e5", b"1E+2", b"1e", b"0x1F"),
    *(b"1e400", b"-1e400", b"1e-400", b"NaN", b"-Infinity", b"nan", b"INF", b"1d", b"1f", b"1L"),
    *(b"1_0", b"1 0", b"1,0", b"9007199254740993", b"9223372036854775808", b"1e308", b"4.9e-324"),
    *(b"18446744073709551616", b"1e19", b"1.0000000000000000000000001", b"0.1e1", b"5e0", b"10e-1"),
    *(b"120.0", b"120.00000000000001", b"1e2147483648", b"1e-2147483649", b"0e99999999999"),
    *(b"True", b"None", b"TRUE", b"undefined", b"nul", b"truefalse", b"/* */1", b"1 // x", b"#1"),
)
_ESCAPES = (
    *(
        rb"\u0000",
        rb"\n",
        rb"\/",
        rb"\'",
        rb"\x41",
        rb"\v",
        rb"\0",
        rb"\u12",
        rb"\u{41}",
        rb"\U0041",
    ),
    *(rb"\ud800", rb"\udc00", rb"\ud83d\ude00", rb"\ude00\ud83d", rb"\uD800x", rb"No\ud800"),
    *(
        b"\\",
        b"\\\n",
        rb"\u0059es",
        rb"No\u0000",
        rb"N\u006f",
        rb"\\u0041",
        b"a\nb",
        b"a\tb",
        b"\x01",
    ),
)
_WRAPPINGS = (
    *((b"[", b"]"), (b"[", b",@]"), (b'{"a":', b"}"), (b"", b"@"), (b"", b"\n@"), (b"", b",")),
    *((b"(", b")"), (b"", b";"), (b"callback(", b")"), (b")]}',\n", b""), (b"// x\n", b"")),
    *((b"", b"/* x */"), (b"", b"null"), (b"", b"{}"), (b"{}", b""), (b"null", b""), (b'"', b'"')),
    *((b"", b"}"), (b"", b"]"), (b"{", b""), (b"{", b"}"), (b"\x1e", b"\n"), (b"data: ", b"\n\n")),
    *(
        (b"\x00", b""),
        (b"\x00\x00\x00\x00\x07", b""),
        (b"", b"\x00"),
        (b"", b',"\\u0000end":true}'),
    ),
    *((b"", b"\x1a"), (b"%PDF", b""), (b"", b"\x00" * 40)),
)
_FOREIGN = (
    *(
        b"\x1f\x8b\x08\x00",
        b"PK\x03\x04",
        b"Obj\x01",
        b"PAR1",
        b"\x80\x04\x95",
        b"\xac\xed\x00\x05",
    ),
    *(
        b"<?xml version='1.0'?>",
        b"---\ncustomerID: x",
        b"\x00\x00\x00\x00\x01",
        b"SQLite format 3\x00",
    ),
    *(b"{", b"}", b"[", b"]", b'"', b"\\", b"{}", b"[]", b"{}{}", b'""', b"-", b"tru", b"0", b"{]"),
    *(
        b'{"',
        b'{"a"',
        b'{"a":',
        b'{"a":1',
        b'{"a":1,',
        b'{"a":1,}',
        b"[1,]",
        b"[,]",
        b"{,}",
        b"{:}",
    ),
    *(b"{null:1}", b"{1:1}", b"{a:1}", b"{'a':1}", b'{"a" 1}', b'{"a":1 "b":2}', b"\xef\xbb\xbf"),
)
_ENCODINGS = (
    *("utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be", "utf-8-sig", "utf-7"),
    *("latin-1", "cp1252", "cp037", "shift_jis", "gb18030", "ascii"),
)
_NO_UTF8 = (
    *(b"\xc0\x80", b"\xc1\xbf", b"\xe0\x80\x80", b"\xe0\x9f\xbf", b"\xf0\x80\x80\x80", b"\xc0\xae"),
    *(
        b"\xed\xa0\x80",
        b"\xed\xbf\xbf",
        b"\xed\xa0\xbd\xed\xb8\x80",
        b"\xf4\x90\x80\x80",
        b"\xf5\x80",
    ),
    *(b"\xf8\x88\x80\x80\x80", b"\xfc\x84\x80\x80\x80\x80", b"\xfe", b"\xff", b"\x80", b"\xbf\xbf"),
    *(b"\xc3", b"\xe2\x82", b"\xf0\x9f\x98", b"\xc3\x28", b"\xe2\x28\xa1", b"\xf0\x28\x8c\xbc"),
)
_BLANKS = (
    *(b" ", b"\t", b"\n", b"\r", b"\r\n", b"\x0b", b"\x0c", b"\x00", b"\x85", b"\xc2\x85"),
    *(
        b"\xc2\xa0",
        b"\xe2\x80\x83",
        b"\xe2\x80\xa8",
        b"\xef\xbb\xbf",
        b"\xe3\x80\x80",
        b"\x1c",
        b"\x1f",
    ),
)
