"""Our messages quote the errors of other libraries."""

from __future__ import annotations

import pytest

from lib.errors import first_line, name_error


@pytest.mark.parametrize(
    ("text", "line"),
    [("one\ntwo", "one"), ("\n\n  one \ntwo", "one "), ("", ""), (" \n ", ""), (None, "")],
)
def test_a_message_is_its_first_line_if_it_has_one(text: str | None, line: str) -> None:
    assert first_line(text) == line


@pytest.mark.parametrize(
    ("error", "phrase"),
    [
        (ValueError("no number\nat line 3"), "ValueError: no number"),
        (ValueError(), "ValueError"),
        (KeyError(""), "KeyError: ''"),
    ],
)
def test_an_error_is_named_by_its_class_also_without_a_message(
    error: Exception, phrase: str
) -> None:
    assert name_error(error) == phrase
