"""Contracts can be files; errors in them are refused with the line or key."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from lib.errors import ContractError
from lib.record.checks import check_value
from lib.record.contract import Kind, Names, OutputNames
from lib.record.contract_file import parse_contract, read_contract
from lib.record.contract_writer import write_contract
from tests.record.random_contracts import draw_contract
from tests.support.telco import CONTRACT_FILE, CUSTOMER

LOAN = Path(__file__).parents[1] / "domains" / "loan.toml"

SMALL = """\
name = "small"

[identifier]
name = "id"

[label]
name = "label"
negative = "no"
positive = "yes"

[[features]]
name = "kind"
kind = "category"
allowed = ["a", "b"]

[[features]]
name = "size"
kind = "number"
minimum = 1
maximum = 9
"""


def change(old: str, new: str) -> str:
    assert old in SMALL
    return SMALL.replace(old, new)


def test_a_small_contract_has_sensible_defaults() -> None:
    contract = parse_contract(SMALL, "small.toml")

    assert contract.name == "small"
    assert contract.max_bytes == 65_536
    assert contract.event_time is None
    assert contract.output == OutputNames("id", "probability", "prediction")
    assert (contract.negative_label, contract.positive_label) == ("no", "yes")
    assert contract.stand_ins == {"kind": "a", "size": 1.0}
    assert contract.defaults == Names(
        "small.records", "small.predictions", "small.dead-letters", "small-scoring", "small"
    )


def test_the_telco_contract_keeps_the_fingerprint_that_stored_versions_have() -> None:
    assert CUSTOMER.fingerprint == (
        "6ea3553b965225caad74f4ea71ba787d04920316bfcfe0709c5d250327d00d5a"
    )
    assert CUSTOMER.defaults == Names(
        "telco.raw.customers",
        "telco.churn.predictions",
        "telco.deadletter",
        "churn-scoring",
        "churn",
    )


def test_every_part_of_a_contract_is_read() -> None:
    loan = read_contract(LOAN)

    assert loan.identifier.place == ("meta", "id")
    assert loan.event_time is not None
    assert loan.event_time.place == ("meta", "applied_at")
    assert loan.output == OutputNames("application_id", "default_probability", "expected_outcome")
    kinds = {field.name: (str(field.kind), field.nullable) for field in loan.features}
    assert kinds == {
        "purpose": ("category", False),
        "amount": ("number", False),
        "months": ("integer", False),
        "income": ("number", True),
        "housing": ("category", True),
        "employed": ("boolean", False),
        "guarantor": ("boolean", True),
        "children": ("integer", True),
    }
    assert loan.field("income").expected == "a finite number from 0 on"
    assert loan.field("months").expected == "an integer from 6 to 120 or a string holding one"


@pytest.mark.parametrize("seed", range(60))
def test_what_is_written_is_read_again(seed: int) -> None:
    contract = draw_contract(seed)

    again = parse_contract(write_contract(contract), "again.toml")

    assert again == contract
    assert again.fingerprint == contract.fingerprint


@pytest.mark.parametrize("path", [LOAN, CONTRACT_FILE])
def test_a_file_that_is_written_again_says_the_same(path: Path) -> None:
    contract = read_contract(path)

    assert parse_contract(write_contract(contract), "again.toml") == contract


@pytest.mark.parametrize("seed", range(100))
def test_a_derived_stand_in_is_valid(seed: int) -> None:
    for field in draw_contract(seed).features:
        if not (field.nullable and field.stand_in is None):
            assert check_value(field.stand_in, field)[1] is None, field


def test_where_a_value_stands_and_what_it_is_called_in_prose_is_not_what_a_model_depends_on() -> (
    None
):
    moved = parse_contract(
        change('kind = "number"', 'kind = "number"\npath = "a.b"\nunit = "m"'), "x"
    )
    wider = parse_contract(change("maximum = 9", "maximum = 10"), "x")
    contract = parse_contract(SMALL, "x")

    assert moved.fingerprint == contract.fingerprint
    assert wider.fingerprint != contract.fingerprint
    assert replace(contract, name="other").fingerprint == contract.fingerprint


REFUSED = {
    "no TOML": (
        change('name = "small"', "name = small"),
        "small.toml: no TOML: Invalid value (at line 1, column 8)",
    ),
    "a key that is misspelt": (
        change("minimum = 1", "minimun = 1"),
        "small.toml: unknown key features[2] (size).minimun",
    ),
    "no name": (
        change('name = "small"\n', ""),
        "small.toml: name: found nothing, expected a string",
    ),
    "a name that no topic can have": (
        change('name = "small"', 'name = "so small"'),
        "small.toml: name: found so small, expected up to 64 letters, digits, '-' and '_'",
    ),
    "no identifier": (
        change('[identifier]\nname = "id"\n', ""),
        "small.toml: identifier: found nothing, expected a table, [identifier]",
    ),
    "no features": (
        SMALL[: SMALL.index("[[features]]")],
        "small.toml: features: found nothing, expected at least one table, [[features]]",
    ),
    "an unknown kind": (
        change('kind = "number"', 'kind = "float"'),
        'small.toml: features[2] (size).kind: found "float", expected one of category, integer,'
        " number, boolean, text",
    ),
    "a category without values": (
        change('allowed = ["a", "b"]\n', ""),
        "small.toml: features[1] (kind).allowed: found nothing, expected an array of at least one"
        " string",
    ),
    "a value twice": (
        change('["a", "b"]', '["a", "a"]'),
        'small.toml: features[1] (kind).allowed: found "a" twice, expected each value once',
    ),
    "values of a number": (
        change("minimum = 1", 'allowed = ["1"]'),
        "small.toml: features[2] (size).allowed: found it beside kind number, expected it beside"
        " kind category only",
    ),
    "a bound that is text": (
        change("minimum = 1", 'minimum = "1"'),
        'small.toml: features[2] (size).minimum: found "1", expected a finite number',
    ),
    "a bound that is infinite": (
        change("maximum = 9", "maximum = inf"),
        "small.toml: features[2] (size).maximum: found Infinity, expected a finite number",
    ),
    "bounds that cross": (
        change("minimum = 1", "minimum = 10"),
        "small.toml: features[2] (size).maximum: found 9, expected at least the minimum, 10",
    ),
    "a bound of an integer with a fraction": (
        change('kind = "number"\nminimum = 1', 'kind = "integer"\nminimum = 1.5'),
        "small.toml: features[2] (size).minimum: found 1.5, expected an integer from"
        " -9007199254740992 to 9007199254740992",
    ),
    "a blank that no text may hold": (
        change("minimum = 1", "minimum = 1\nblank = 2"),
        "small.toml: features[2] (size).blank: found 2, expected numeric_text = true beside it",
    ),
    "a blank out of range": (
        change("minimum = 1", "minimum = 1\nnumeric_text = true\nblank = 0"),
        "small.toml: features[2] (size).blank: found 0, expected a finite number from 1 to 9 or a"
        " string holding one (blank means 0)",
    ),
    "a stand-in that is not valid": (
        change("minimum = 1", "minimum = 1\nstand_in = 99"),
        "small.toml: features[2] (size).stand_in: found 99, expected a finite number from 1 to 9",
    ),
    "a pattern that is none": (
        change('name = "id"', 'name = "id"\npattern = "["'),
        "small.toml: identifier.pattern: found [ (unterminated character set at position 0),"
        " expected a regular expression",
    ),
    "a path with a gap": (
        change("minimum = 1", 'minimum = 1\npath = "a..b"'),
        'small.toml: features[2] (size).path: found "a..b", expected names joined by dots, like'
        ' "account.income"',
    ),
    "a value inside of another value": (
        change("minimum = 1", 'minimum = 1\npath = "kind.size"'),
        "small.toml: features: found size at kind.size, inside of kind at kind, expected a place"
        " that is not inside of another value",
    ),
    "two values at one place": (
        change("minimum = 1", 'minimum = 1\npath = "kind"'),
        "small.toml: features: found size at kind, where kind stands too, expected a place of its"
        " own",
    ),
    "two names that differ in their case": (
        change('name = "size"', 'name = "KIND"'),
        "small.toml: features[2].name: found KIND, which is the name of features[1] too, expected"
        " names that differ in more than their case",
    ),
    "a name with a quote": (
        change('name = "size"', """name = "o'clock\""""),
        'small.toml: features[2].name: found "o\'clock", expected a name without quotes,'
        " backslashes and control characters",
    ),
    "a name that the plan has": (
        change('name = "size"', 'name = "Violations"'),
        "small.toml: features[2].name: found Violations, expected another name: the plan has a"
        " column of this one",
    ),
    "a label of one value": (
        change('positive = "yes"', 'positive = "no"'),
        'small.toml: label.positive: found "no" twice, expected two different values',
    ),
    "an answer's field that every answer has": (
        SMALL.replace("[label]", '[output]\nprobability = "model_version"\n\n[label]'),
        "small.toml: output.probability: found model_version, expected another name: every"
        " prediction has a field of this one",
    ),
    "two fields of the answer with one name": (
        SMALL.replace("[label]", '[output]\nprobability = "prediction"\n\n[label]'),
        "small.toml: output: found prediction twice, expected a name for each field",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_file_that_is_wrong_is_refused_by_its_line_or_key(case: str) -> None:
    text, message = REFUSED[case]

    with pytest.raises(ContractError) as refusal:
        parse_contract(text, "small.toml")

    assert refusal.value.message == message


def test_a_misspelt_key_is_guessed_at() -> None:
    with pytest.raises(ContractError, match=r"did you mean minimum\?"):
        parse_contract(change("minimum = 1", "minimun = 1"), "small.toml")


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ContractError, match=r"absent\.toml: no such file"):
        read_contract(tmp_path / "absent.toml")


def test_text_may_be_bounded_and_booleans_reach_the_model_as_numbers() -> None:
    text = change('kind = "number"\nminimum = 1\nmaximum = 9', 'kind = "text"\nmax_chars = 3')
    field = parse_contract(text, "x").field("size")

    assert field.kind is Kind.TEXT
    assert check_value("äöü", field) == ("äöü", None)
    assert check_value("äöüß", field)[1] == "malformed"
    flag = parse_contract(
        change('kind = "number"\nminimum = 1\nmaximum = 9', 'kind = "boolean"'), "x"
    ).field("size")
    assert (check_value(True, flag), check_value(1, flag)[1]) == ((1, None), "wrong_type")
