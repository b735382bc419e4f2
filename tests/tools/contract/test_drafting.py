"""Contracts can be drafted from data and from JSON Schemas."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lib.errors import ScoringError, SettingsError
from lib.record.contract import Contract, Kind
from lib.record.contract_file import parse_contract
from lib.synth.telco import make_customers
from lib.tools.contract.draft_file import draft_file, write_draft
from lib.tools.contract.drafting import Roles
from lib.tools.contract.survey import survey_file
from tests.support.telco import CUSTOMER

CSV = """\
order,when,colour,weight,parts,fragile,remark,returned
A-1,2026-01-02T03:04:05Z,red,1.5,3,true,,no
A-2,2026-01-02T03:04:06Z,blue,2.5,4,false,x,yes
A-3,2026-01-02T03:04:07Z,red,,12,true,y,no
"""


def draft(tmp_path: Path, text: str = CSV, **roles: Any) -> tuple[Contract, list[str]]:
    path = tmp_path / "orders.csv"
    path.write_text(text)
    found = draft_file(path, None, Roles(**roles))
    # The draft must be a contract that can be read.
    assert parse_contract(write_draft(found, "orders.csv"), "x") == found.contract
    return found.contract, found.notes


def test_a_table_becomes_a_contract(tmp_path: Path) -> None:
    contract, notes = draft(tmp_path)

    assert contract.name == "orders"
    assert contract.identifier.name == "order"
    assert contract.event_time is not None
    assert contract.event_time.name == "when"
    assert (contract.label.name, contract.negative_label, contract.positive_label) == (
        *("returned", "no", "yes"),
    )
    assert {it.name: (it.kind, it.nullable) for it in contract.features} == {
        "colour": (Kind.CATEGORY, False),
        "weight": (Kind.NUMBER, True),
        "parts": (Kind.INTEGER, False),
        "fragile": (Kind.BOOLEAN, False),
        "remark": (Kind.CATEGORY, True),
    }
    assert contract.field("colour").allowed == ("blue", "red")
    # The values are 3 to 12; a tenth of the spread is added on both sides.
    assert (contract.field("parts").minimum, contract.field("parts").maximum) == (2, 13)
    assert notes == [
        "order was taken for the identifier.",
        "returned was taken for the label.",
        "when was taken for the event time.",
    ]


def test_what_is_known_is_not_guessed(tmp_path: Path) -> None:
    contract, notes = draft(
        tmp_path, identifier="remark", label="fragile", positive="false", event_time="when"
    )

    assert contract.identifier.name == "remark"
    assert (contract.negative_label, contract.positive_label) == ("true", "false")
    assert notes == []


def test_all_customers_keep_the_contract_that_is_drafted_from_them(tmp_path: Path) -> None:
    path = tmp_path / "customers.csv"
    make_customers(2_000, seed=4).to_csv(path, index=False)

    found = draft_file(path, "customers", Roles())

    assert found.contract.feature_names == CUSTOMER.feature_names
    assert [it.kind for it in found.contract.features] == [it.kind for it in CUSTOMER.features]
    assert found.contract.field("TotalCharges").blank == 0.0
    survey = survey_file(path, found.contract)
    assert (survey.records, survey.valid) == (2_000, 2_000)


def test_text_of_a_number_beyond_every_range_is_no_number(tmp_path: Path) -> None:
    contract, _ = draft(tmp_path, "id,size,label\na,1e999,no\nb,2,yes\nc,3,no\n")

    assert contract.field("size").kind is Kind.CATEGORY


def test_a_blank_is_in_the_range_of_its_number(tmp_path: Path) -> None:
    contract, notes = draft(tmp_path, "id,balance,label\na,-5,no\nb,-3,yes\nc, ,no\n")

    balance = contract.field("balance")
    assert (balance.minimum, balance.maximum, balance.blank) == (-6, 0, 0.0)
    assert notes[-1] == "balance has blanks, which were taken for 0."


def test_an_integer_may_have_blanks(tmp_path: Path) -> None:
    contract, notes = draft(tmp_path, "id,months,label\na,5,no\nb,3,yes\nc, ,no\n")

    months = contract.field("months")
    assert (months.kind, months.numeric_text, months.blank) == (Kind.INTEGER, True, 0.0)
    assert notes[-1] == "months has blanks, which were taken for 0."


def test_parquet_keeps_its_types(tmp_path: Path) -> None:
    path = tmp_path / "orders.parquet"
    columns = {
        "id": ["a", "b", "c"],
        "n": pa.array([1, 2, None], pa.int32()),
        "x": [0.5, 1.5, 2.5],
        "b": [True, None, False],
        "label": ["p", "n", "n"],
    }
    pq.write_table(pa.table(columns), path)

    contract = draft_file(path, None, Roles(positive="p")).contract

    assert {it.name: (it.kind, it.nullable) for it in contract.features} == {
        "n": (Kind.INTEGER, True),
        "x": (Kind.NUMBER, False),
        "b": (Kind.BOOLEAN, True),
    }
    assert survey_file(path, contract).valid == 3


SCHEMA = {
    "type": "object",
    "required": ["id", "amount", "applicant"],
    "$defs": {"money": {"type": "number", "minimum": 0, "exclusiveMaximum": 1_000}},
    "properties": {
        "id": {"type": "string", "pattern": "^LN-[0-9]{6}$"},
        "at": {"type": "string", "format": "date-time"},
        "amount": {"$ref": "#/$defs/money", "description": "what is lent"},
        "kind": {"enum": ["a", "b", None]},
        "applicant": {
            "type": "object",
            "required": ["age"],
            "properties": {
                "age": {"type": "integer", "exclusiveMinimum": 17, "maximum": 120},
                "income": {"type": ["number", "null"]},
                "employed": {"type": "boolean"},
                "months": {"type": ["integer", "string"], "maximum": 120},
                "share": {"type": ["null", "string", "number"]},
            },
        },
        "tags": {"type": "array", "items": {"type": "string"}},
    },
}


def test_a_json_schema_becomes_a_contract(tmp_path: Path) -> None:
    path = tmp_path / "Loan Request.json"
    path.write_text(json.dumps(SCHEMA))

    found = draft_file(path, None, Roles(identifier="id"))

    contract = found.contract
    assert contract.name == "loan-request"
    assert contract.identifier.pattern == "LN-[0-9]{6}"
    assert {
        it.name: (it.kind, it.nullable, ".".join(it.place), it.minimum, it.maximum)
        for it in contract.features
    } == {
        "amount": (Kind.NUMBER, False, "amount", 0, 1_000),
        "kind": (Kind.CATEGORY, True, "kind", None, None),
        "applicant_age": (Kind.INTEGER, False, "applicant.age", 18, 120),
        "applicant_income": (Kind.NUMBER, True, "applicant.income", None, None),
        "applicant_employed": (Kind.BOOLEAN, True, "applicant.employed", None, None),
        "applicant_months": (Kind.INTEGER, True, "applicant.months", None, 120),
        "applicant_share": (Kind.NUMBER, True, "applicant.share", None, None),
    }
    assert {it.name for it in contract.features if it.numeric_text} == {
        *("applicant_months", "applicant_share"),
    }
    assert found.notes == [
        "at was taken for the event time.",
        "The label label has the values no and yes: correct them.",
        "amount: the bounds of a contract are inclusive.",
        "tags was left out: array is no kind of a feature.",
    ]
    assert parse_contract(write_draft(found, path.name), "x") == contract


@pytest.mark.parametrize(
    ("text", "roles", "message"),
    [
        (CSV, {"label": "result"}, "--label result: found the columns order, when, colour"),
        (CSV, {"label": "parts"}, "column parts: found the values 12, 3, 4, expected two"),
        (CSV, {"label": "returned", "positive": "maybe"}, "expected two, one of them maybe"),
        ("a,b\n1,x\n1,y\n1,z\n", {}, "found no column of two values"),
        ("a,b\nx,1\nx,1\n", {}, "found no column whose values are all different"),
    ],
)
def test_what_cannot_be_told_is_asked_for(
    tmp_path: Path, text: str, roles: dict[str, str], message: str
) -> None:
    with pytest.raises(SettingsError, match=message):
        draft(tmp_path, text, **roles)


@pytest.mark.parametrize("name", ["absent.csv", "broken.json", "broken.parquet"])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if not name.startswith("absent"):
        path.write_text("{")

    with pytest.raises(ScoringError, match=name):
        draft_file(path, None, Roles(identifier="id"))
