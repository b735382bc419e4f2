"""A record is shown with a mark under what is wrong, and can do nothing to the terminal."""

from __future__ import annotations

import pytest

from lib.record.violations import Rule, Violation
from lib.tools.dead_letters.marking import mark_record

PLACES = {"age": ("age",), "city": ("address", "city"), "zip": ("address", "zip")}


def mark(value: bytes | None, *wrong: tuple[str, Rule]) -> list[str]:
    violations = [Violation(field, rule, "this", "that") for field, rule in wrong]
    return list(mark_record(value, violations, PLACES))


def test_the_value_of_a_field_is_underlined_and_the_others_stand_as_they_were_sent() -> None:
    value = b'{"id":1.50, "age" : "forty",\n "tags": ["a",\n  "b"]}'

    assert mark(value, ("age", Rule.WRONG_TYPE)) == [
        "{",
        '  "id": 1.50,',
        '  "age": "forty",',
        "         ^^^^^^^ age wrong_type: found this, expected that",
        '  "tags": ["a", "b"],',
        "}",
    ]


def test_a_nested_field_is_underlined_where_it_stands_and_a_missing_one_where_it_would() -> None:
    value = b'{"address": {"street": "x", "city": ""}}'

    assert mark(value, ("city", Rule.MALFORMED), ("zip", Rule.MISSING), ("age", Rule.MISSING)) == [
        "{",
        '  "address": {',
        '    "street": "x",',
        '    "city": "",',
        "            ^^ city malformed: found this, expected that",
        "    ^ zip missing: found this, expected that",
        "  }",
        "  ^ age missing: found this, expected that",
        "}",
    ]


def test_what_stands_where_an_object_should_is_underlined() -> None:
    assert mark(b'{"address": 5}', ("city", Rule.WRONG_TYPE)) == [
        "{",
        '  "address": 5,',
        "             ^ city wrong_type: found this, expected that",
        "}",
    ]


def test_of_two_members_with_one_name_the_last_one_counts() -> None:
    assert mark(b'{"age": 1, "age": -1}', ("age", Rule.OUT_OF_RANGE))[1:4] == [
        '  "age": 1,',
        '  "age": -1,',
        "         ^^ age out_of_range: found this, expected that",
    ]


@pytest.mark.parametrize(
    ("value", "rule", "lines"),
    [
        (None, Rule.NULL_VALUE, ["no value", ""]),
        (b"", Rule.NOT_JSON, ["", "^ "]),
        (b'{"a": 1', Rule.NOT_JSON, ['{"a": 1', "       ^ "]),
        (b'{"a": "NaN", "b": NaN}', Rule.NOT_JSON, ['{"a": "NaN", "b": NaN}', f"{' ' * 18}^ "]),
        (b"[1]", Rule.NOT_OBJECT, ["[1]", "^ "]),
        (b'{"a": "\xff\x00"}', Rule.NOT_UTF8, [r'{"a": "\xff\x00"}', "       ^ "]),
        ("日本 {".encode(), Rule.NOT_JSON, ["日本 {", "^ "]),
        ('{"日本": }'.encode(), Rule.NOT_JSON, ['{"日本": }', "         ^ "]),
        (b"{" * 60_000, Rule.TOO_LARGE, ["{" * 59 + "…", "^ "]),
        (b"[" * 60_000, Rule.NOT_JSON, ["[" * 59 + "…", "^ "]),
    ],
)
def test_what_is_no_object_is_shown_around_the_place_at_which_it_breaks(
    value: bytes | None, rule: Rule, lines: list[str]
) -> None:
    found = mark(value, ("", rule))

    assert found == [lines[0], f"{lines[1]}{rule}: found this, expected that"]


def test_a_break_far_inside_is_shown_with_what_stands_around_it() -> None:
    value = b'{"text": "%s", }' % (b"x" * 5_000)

    first, second = mark(value, ("", Rule.NOT_JSON))

    assert first == "…" + "x" * 57 + '", }'
    assert second.index("^") == first.index(", ") or second.index("^") == first.index("}")


@pytest.mark.parametrize(
    "value",
    [
        b"\x1b]0;title\x07\x1b[2J{",
        '{"age": "\x9b2J\u202e"}'.encode(),
        '{"\\u001b[2J\u2066": 1, "age": 2}'.encode(),
        b"\xff\x1b[2J",
        b"\r\n\x08\x7f",
    ],
)
def test_nothing_reaches_the_terminal_that_does_not_print(value: bytes) -> None:
    for line in mark(value, ("age", Rule.WRONG_TYPE), ("\x1b[2J", Rule.MISSING)):
        assert line.isprintable(), repr(line)


def test_a_record_of_a_hundred_thousand_members_is_cut_but_what_is_wrong_is_shown() -> None:
    members = ", ".join(f'"m{number}": {number}' for number in range(100_000))
    value = f'{{{members}, "age": "{"9" * 500}"}}'.encode()

    found = mark(value, ("age", Rule.OUT_OF_RANGE))

    assert len(found) == 105
    assert found[-4].startswith('  "age": "99999')
    assert found[-4].endswith("9…,")
    assert found[-3] == f"         {'^' * 120} age out_of_range: found this, expected that"
    assert found[-2] == "  … 99,900 more members"
