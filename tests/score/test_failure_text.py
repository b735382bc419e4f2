"""The text of a model's exception says what went wrong, and holds nothing of the record."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.score.workers.failure_text import HIDDEN, MAX_CHARS, describe_failure

ROW = ("Female", 0, "Yes", "No", 12, "Fiber optic", "Electronic check", 70.35, None, True)


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (
            ValueError("could not convert string to float: 'Fiber optic'"),
            "ValueError: could not convert string to float: …",
        ),
        (KeyError("Anything"), "KeyError: …"),
        (
            ValueError("Found unknown categories ['x', \"it's\"] in column 5 during transform"),
            "ValueError: Found unknown categories […, …] in column 5 during transform",
        ),
        (
            ValueError("X has 19 features, but Scaler is expecting 21 features as input."),
            "ValueError: X has 19 features, but Scaler is expecting 21 features as input.",
        ),
        (
            ValueError("Input X contains NaN.\nThe model does not accept missing values."),
            "ValueError: Input X contains NaN.",
        ),
        (TypeError("can't take fiber OPTIC, it's bad"), "TypeError: can't take …, it's bad"),
        (
            ValueError("x5_Fiber optic is 70.350 or 7.035e+01, tenure_12"),
            "ValueError: x5_… is … or …, tenure_…",
        ),
        (ValueError("rounded to 70 and 71"), "ValueError: rounded to … and …"),
        (
            ValueError("found no knot, Nothing, Yesterday"),
            "ValueError: found … knot, Nothing, Yesterday",
        ),
        (ValueError("scaled to -1.2345"), "ValueError: scaled to …"),
        (ValueError("bytes b'abc' and `name` and 'open"), "ValueError: bytes … and … and …"),
        (ValueError("found True, expected None"), "ValueError: found …, expected None"),
        (ValueError("a\x00b\u2028second line"), "ValueError: a b"),
        (ValueError("lone \ud800 half"), "ValueError: lone   half"),
        (OverflowError(), "OverflowError"),
        (ZeroDivisionError("division by zero"), "ZeroDivisionError: division by zero"),
    ],
)
def test_the_text_is_the_first_line_without_contents(error: Exception, text: str) -> None:
    assert describe_failure(error, ROW) == text


def test_a_long_text_is_cut_at_a_word() -> None:
    text = describe_failure(ValueError("word " * 100), ROW)
    assert text == "ValueError: " + "word " * 39 + "word" + HIDDEN
    assert describe_failure(ValueError("x" * 500), ROW) == f"ValueError: {HIDDEN}"


def test_a_value_of_several_lines_is_left_out_as_a_whole() -> None:
    error = ValueError("cannot read first secret\nsecond secret at all")
    row = ["first secret\nsecond secret"]
    assert describe_failure(error, row) == "ValueError: cannot read … at all"


def test_values_within_lists_and_of_numpy_are_left_out() -> None:
    row = [["inner"], {"key": "deep"}, np.float64(3.25), np.int64(17), np.str_("text"), 4.0]
    error = ValueError("inner, key, deep, 3.25, np.float64(3.25), 17, TEXT, 4.00")
    assert describe_failure(error, row) == "ValueError: …, …, …, …, np.float64(…), …, …, …"


def test_an_exception_that_cannot_be_written_is_named() -> None:
    class BrokenError(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    assert describe_failure(BrokenError(), ROW) == "BrokenError"


VALUES: st.SearchStrategy[Any] = st.one_of(
    st.text(min_size=1, max_size=12),
    st.text("ab1.'\" -_\n", min_size=1, max_size=6),
    st.integers(-(10**6), 10**6),
    st.floats(allow_nan=False, allow_infinity=False),
    st.booleans(),
    st.floats(-100, 100).map(np.float64),
)
FORMS = (str, repr, "'{}'".format, '"{}"'.format, "`{}`".format, "[{!r}]".format, " {} ".format)


@st.composite
def messages(draw: st.DrawFn) -> tuple[list[Any], str]:
    """Draw a row, and a message that quotes some of its values in various forms."""
    row = draw(st.lists(VALUES, min_size=1, max_size=6))
    pieces = draw(
        st.lists(
            st.one_of(
                st.sampled_from(["found ", " in column x_", ", expected ", "\n", "'", "it's "]),
                st.builds(
                    lambda value, form: form(value), st.sampled_from(row), st.sampled_from(FORMS)
                ),
            ),
            max_size=8,
        )
    )
    return row, "".join(pieces)


def is_left(form: str, text: str) -> bool:
    """Tell whether a value's form stands in a text: a short one as a word, others anywhere."""
    if not form.strip(f" {HIDDEN}"):
        return False
    if len(form) >= 4:
        return form in text
    before = r"(?<![^\W_])" if form[0].isalnum() else ""
    after = r"(?![^\W_])" if form[-1].isalnum() else ""
    return re.search(before + re.escape(form) + after, text) is not None


@given(messages())
def test_no_value_of_the_row_is_left(drawn: tuple[list[Any], str]) -> None:
    row, message = drawn

    text = describe_failure(ValueError(message), row)

    kind, _, left = text.partition(": ")
    assert kind == "ValueError"
    assert len(left) <= MAX_CHARS
    assert left.isprintable()
    for value in row:
        for form in (str(value).strip(), repr(value).strip()):
            assert not is_left(form, left)


@given(st.lists(VALUES, max_size=5), st.text(max_size=30), st.sampled_from("'\"`"))
def test_nothing_in_quotes_is_left(row: list[Any], quoted: str, quote: str) -> None:
    inside = quoted.replace(quote, "")
    text = describe_failure(ValueError(f"found {quote}secret {inside}{quote}, expected"), row)
    assert "secret" not in text
