"""Provide a small contract with each kind of feature, for models of many libraries."""

from __future__ import annotations

from lib.record.contract_file import parse_contract

CONTRACT = parse_contract(
    """
name = "loan"
[identifier]
name = "id"
[label]
name = "state"
negative = "paid"
positive = "lost"
[[features]]
name = "purpose"
kind = "category"
allowed = ["car", "house", "other"]
[[features]]
name = "income"
kind = "number"
minimum = 0
maximum = 1000
nullable = true
[[features]]
name = "years"
kind = "integer"
minimum = 1
maximum = 40
[[features]]
name = "married"
kind = "boolean"
""",
    "loan.toml",
)
NUMBERS = ["income", "years", "married"]
