"""The newest outcome of a subject counts for its predictions, if it is newer than they are."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from lib.errors import SourceError
from lib.evaluation.definition import Status
from lib.tools.models.topics.outcomes import Outcomes, read_outcome_file
from tests.support.telco import CUSTOMER

SCORED = "2026-11-23T14:20:00.000Z"


def collect(*outcomes: tuple[object, object, object]) -> Outcomes:
    found = Outcomes(CUSTOMER)
    for subject, label, time in outcomes:
        found.add({"customerID": subject, "Churn": label, "outcome_ts": time})
    return found


@pytest.mark.parametrize(
    ("outcomes", "status", "label"),
    [
        ([], "UNLABELLED", None),
        ([("b", "Yes", "2026-12-01")], "UNLABELLED", None),
        ([("a", "Yes", "2026-12-01")], "LABELLED", "Yes"),
        ([("a", "Yes", "2026-12-01"), ("a", "No", "2026-12-02")], "LABELLED", "No"),
        ([("a", "Yes", "2026-12-02"), ("a", "No", "2026-12-01")], "LABELLED", "Yes"),
        ([("a", "Yes", "2026-12-01"), ("a", "Yes", "2026-12-01")], "LABELLED", "Yes"),
        ([("a", "Yes", "2026-12-01"), ("a", "No", "2026-12-01T00:00:00Z")], "CONTRADICTED", None),
        ([("a", "Yes", "2026-11-23T14:20:00Z")], "KNOWN_BEFORE", None),
        ([("a", "Yes", "2026-11-23T15:20:00+01:00")], "KNOWN_BEFORE", None),
        ([("a", "Yes", "2026-11-23T14:20:00.001Z")], "LABELLED", "Yes"),
        ([("a", "No", "2026-11-01"), ("a", "Yes", "2026-12-01")], "LABELLED", "Yes"),
    ],
)
def test_an_outcome_counts_by_its_time(
    outcomes: list[tuple[str, str, str]], status: str, label: str | None
) -> None:
    assert collect(*outcomes).judge("a", SCORED) == (Status[status], label)


@pytest.mark.parametrize(
    "outcome",
    [
        (None, "Yes", "2026-12-01"),
        ("", "Yes", "2026-12-01"),
        (7, "Yes", "2026-12-01"),
        ("a", "yes", "2026-12-01"),
        ("a", None, "2026-12-01"),
        ("a", ["Yes"], "2026-12-01"),
        ("a", "Yes", None),
        ("a", "Yes", "yesterday"),
        ("a", "Yes", {}),
        ("a", "Yes", 1796072125388),
    ],
)
def test_what_is_no_outcome_is_counted(outcome: tuple[object, object, object]) -> None:
    found = collect(outcome)

    assert (found.read, found.left_out) == (1, 1)
    assert found.judge("a", SCORED) == (Status.UNLABELLED, None)


def test_outcomes_are_read_from_messages() -> None:
    found = Outcomes(CUSTOMER)
    whole = {"customerID": "a", "Churn": "Yes", "outcome_ts": "2026-12-01", "source": "billing"}
    for value in (json.dumps(whole).encode(), None, b"", b"[1]", b"{", b"\xff"):
        found.add_message(value)

    assert (found.read, found.left_out) == (6, 5)
    assert found.judge("a", SCORED) == (Status.LABELLED, "Yes")


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_outcomes_are_read_from_files(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"outcomes.{suffix}"
    frame = pd.DataFrame(
        {"customerID": ["a", "b"], "Churn": ["Yes", "?"], "outcome_ts": ["2026-12-01"] * 2}
    )
    if suffix == "csv":
        frame.to_csv(path, index=False)
    else:
        frame["outcome_ts"] = pd.to_datetime(frame["outcome_ts"], utc=True)
        frame.to_parquet(path)
    found = Outcomes(CUSTOMER)

    read_outcome_file(path, found)

    assert (found.read, found.left_out) == (2, 1)
    assert found.judge("a", SCORED) == (Status.LABELLED, "Yes")


@pytest.mark.parametrize(
    ("name", "text", "found"),
    [
        ("o.json", "{}", "found the suffix .json, expected .csv or .parquet"),
        ("o.csv", "customerID,outcome_ts\na,2026-12-01\n", "found no column Churn"),
        ("o.parquet", "no parquet", "cannot be read"),
    ],
)
def test_a_file_that_holds_no_outcomes_is_named(
    tmp_path: Path, name: str, text: str, found: str
) -> None:
    path = tmp_path / name
    path.write_text(text)

    with pytest.raises(SourceError, match=found) as raised:
        read_outcome_file(path, Outcomes(CUSTOMER))
    assert str(path) in str(raised.value)
    assert "customerID, Churn, outcome_ts" in str(raised.value)
