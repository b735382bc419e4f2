"""Hold values that are often read in different ways, and the one answer that all faces give."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any

from tests.support.records import VALID, record_with_raw, record_without
from tests.support.telco import CUSTOMER

FEATURES = {name: VALID[name] for name in CUSTOMER.feature_names}


@dataclass(frozen=True)
class Refused:
    """The answer to a record that is not scored.

    Attributes:
        found: the words of ``predict`` about the value.
        error_type: the error of the dead letter.
    """

    found: str
    error_type: str = "validation_error"


@dataclass(frozen=True)
class Case:
    """A value of one field.

    Attributes:
        field: the name of the field.
        value: the value as Python has it.
        token: the value in a message's JSON.
        answer: the value whose probability it gets, or the refusal.
    """

    field: str
    value: Any
    token: str
    answer: Any

    @property
    def features(self) -> dict[str, Any]:
        """The features of ``predict``."""
        return {**FEATURES, self.field: self.value}

    @property
    def features_alike(self) -> dict[str, Any]:
        """Features that get the same probability, if any do."""
        return {**FEATURES, self.field: self.answer}

    @property
    def message(self) -> bytes:
        """The record as a message."""
        return record_with_raw(self.field, self.token.encode())


NOTHING = Refused("nothing")
NO_JSON = Refused("nothing", "processing_error")
INFINITY = Refused("infinity")
FRACTION = Refused("a number with a fraction")
NO_NUMBER = Refused("text that is no such number")
LARGE = 10**400

CASES = [
    *(
        Case(field, value, token, answer)
        for field in ("tenure", "SeniorCitizen", "MonthlyCharges", "TotalCharges")
        for value, token, answer in (
            (None, "null", NOTHING),
            (math.nan, "NaN", NO_JSON),
            (True, "true", Refused("a bool")),
            (False, "false", Refused("a bool")),
            ("１２", '"１２"', NO_NUMBER),
            ("١٢", '"١٢"', NO_NUMBER),
            ("twelve", '"twelve"', NO_NUMBER),
            ([1], "[1]", Refused("a list")),
            ({"a": 1}, '{"a": 1}', Refused("a dict")),
            (-0.0, "-0.0", 0),
            (1.0, "1.0", 1),
            (math.inf, "1e400", INFINITY),
            (-math.inf, "-1e400", INFINITY),
            (LARGE, str(LARGE), INFINITY),
        )
    ),
    *(
        Case(field, value, token, answer)
        for field in ("tenure", "SeniorCitizen")
        for value, token, answer in (
            (0.5, "0.5", FRACTION),
            ("1", '"1"', NO_NUMBER),
            (" ", '" "', NO_NUMBER),
        )
    ),
    Case("tenure", 12.5, "12.5", FRACTION),
    Case("MonthlyCharges", 12, "12", 12.0),
    Case("MonthlyCharges", "12.5", '"12.5"', NO_NUMBER),
    Case("TotalCharges", "12.50", '"12.50"', 12.5),
    Case("TotalCharges", " 12\t", '" 12\\t"', 12),
    Case("TotalCharges", "", '""', 0.0),
    Case("TotalCharges", "1e400", '"1e400"', INFINITY),
    Case("Contract", None, "null", NOTHING),
    Case("Contract", math.nan, "NaN", NO_JSON),
    Case("Contract", 1, "1", Refused("a int")),
    Case("Contract", True, "true", Refused("a bool")),
    Case("Contract", ["One year"], '["One year"]', Refused("a list")),
]
TAKEN = [case for case in CASES if not isinstance(case.answer, Refused)]
REFUSED = [case for case in CASES if isinstance(case.answer, Refused)]
#: The fields without which no record is scored.
NEEDED = ("tenure", "TotalCharges", "Contract")


def drop_feature(field: str) -> dict[str, Any]:
    """Return features that lack a field."""
    return {name: value for name, value in FEATURES.items() if name != field}


def list_messages() -> list[tuple[bytes, str | bytes]]:
    """Return (message, the error of its dead letter or the message that is answered alike)."""
    taken = [(case.message, _write(case.features_alike)) for case in TAKEN]
    refused = [(case.message, case.answer.error_type) for case in REFUSED]
    return [*taken, *refused, *((record_without(field), "validation_error") for field in NEEDED)]


def _write(features: dict[str, Any]) -> bytes:
    return json.dumps({**VALID, **features}).encode()
