"""Indicators are folded into lookups, and everything else stays as it is."""

from __future__ import annotations

import pytest
import sqlglot

from lib.training.compile.lookups import fold_lookups


def fold(text: str) -> str:
    folded: str = fold_lookups(sqlglot.parse_one(text, dialect="databricks")).sql("databricks")
    return folded


def indicator(column: str, value: str) -> str:
    return f"CAST(IF({column} = '{value}', 1, 0) AS DOUBLE)"


def test_an_indicator_becomes_a_lookup() -> None:
    found = fold(f"TRY_DIVIDE({indicator('sex', 'F')} - 0.5, 0.25) * 3 + 1")
    assert found == "1 + CASE sex WHEN 'F' THEN 6.0e0 ELSE -6.0e0 END"


def test_all_terms_of_a_column_become_one_lookup() -> None:
    terms = [
        *(f"{indicator('plan', 'month')} * 2", f"{indicator('sex', 'F')} * -8"),
        *(f"({indicator('plan', 'year')} - 0.5) * 4", "x * 7"),
    ]
    assert fold(" + ".join(terms)) == (
        "x * 7"
        " + CASE plan WHEN 'month' THEN 0.0e0 WHEN 'year' THEN 2.0e0 ELSE -2.0e0 END"
        " + CASE sex WHEN 'F' THEN -8.0e0 ELSE 0.0e0 END"
    )


def test_a_value_named_twice_adds_up() -> None:
    terms = f"{indicator('plan', 'year')} * 2 + {indicator('plan', 'year')} * 3"
    assert fold(terms) == "CASE plan WHEN 'year' THEN 5.0e0 ELSE 0.0e0 END"


def test_numbers_are_looked_up_as_numbers() -> None:
    found = fold("CAST(IF(tenure = 2, 1, 0) AS DOUBLE) * 0.5 + 1")
    assert found == "1 + CASE tenure WHEN 2 THEN 0.5e0 ELSE 0.0e0 END"


def test_a_constant_may_come_first() -> None:
    found = fold(f"2 * (1 - {indicator('sex', 'F')}) + x")
    assert found == "x + CASE sex WHEN 'F' THEN 0.0e0 ELSE 2.0e0 END"


def test_sums_within_functions_are_folded() -> None:
    found = fold(f"1 + EXP(-({indicator('sex', 'F')} + x + {indicator('sex', 'M')}))")
    assert found == (
        "1 + EXP(-(x + CASE sex WHEN 'F' THEN 1.0e0 WHEN 'M' THEN 1.0e0 ELSE 0.0e0 END))"
    )


def test_small_numbers_keep_every_digit() -> None:
    found = fold(f"{indicator('sex', 'F')} * 0.000012345678901234567 + x")
    assert found == "x + CASE sex WHEN 'F' THEN 1.2345678901234568e-05 ELSE 0.0e0 END"


@pytest.mark.parametrize(
    "text",
    [
        "x + y * 2",
        "(x & y) + z",  # without parentheses this would mean something else
        "x + (y - z)",
        "IF(sex = 'F', 1, 0) + 1",  # these are integers; folding would make a double
        f"{indicator('sex', 'F')} * x + 1",
        f"TRY_DIVIDE({indicator('sex', 'F')}, 0) + 1",
        f"TRY_DIVIDE(1, {indicator('sex', 'F')}) + 1",
        "CAST(IF(sex = 'F', x, 0) AS DOUBLE) + 1",
        "CAST(IF(sex = gender, 1, 0) AS DOUBLE) + 1",
        "CAST(IF(tenure < 2, 1, 0) AS DOUBLE) + 1",
        "CAST(IF(sex = 'F', 1) AS DOUBLE) + 1",
        "CAST(tenure AS DOUBLE) + 1",
    ],
)
def test_everything_else_stays(text: str) -> None:
    assert fold(text) == text
