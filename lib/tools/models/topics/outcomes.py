"""Finds the outcome of a prediction among those that came to be known afterwards. Pure.

The newest outcome of a subject counts for its predictions, if it is newer than they are. Two labels
at that time contradict each other, and neither counts. These are the rules of ``jobs/evaluate.py``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from lib.errors import SourceError, first_line
from lib.evaluation.definition import Status
from lib.kafka.partitions import parse_time
from lib.record.contract import Contract
from lib.record.tables import read_table

#: The field with the time at which an outcome came to be.
OUTCOME_TIME = "outcome_ts"
# Many outcomes come at the same times.
_parse_time = lru_cache(maxsize=10_000)(parse_time)
_TABLES = (".csv", ".parquet")


@dataclass
class Outcomes:
    """The newest outcome of each subject.

    Attributes:
        contract: the contract, whose identifier and label name the fields of an outcome.
        read: the number of outcomes that were read.
        left_out: the number of those without identifier, one of the two labels, or time.
    """

    contract: Contract
    read: int = 0
    left_out: int = 0
    _newest: dict[str, tuple[datetime, frozenset[str]]] = field(default_factory=dict)

    @property
    def names(self) -> tuple[str, str, str]:
        """The fields of an outcome: identifier, label and time."""
        return self.contract.identifier.name, self.contract.label.name, OUTCOME_TIME

    def add(self, outcome: Mapping[str, Any]) -> None:
        """Take an outcome, or leave it out if it lacks something."""
        self.read += 1
        subject, label, time = (outcome.get(name) for name in self.names)
        moment = _parse_time(str(time))
        if (
            not isinstance(subject, str)
            or not subject
            or not isinstance(label, str)
            or label not in self.contract.label.allowed
            or moment is None
        ):
            self.left_out += 1
            return
        before, labels = self._newest.get(subject, (moment, frozenset()))
        if moment >= before:
            known = labels if moment == before else frozenset()
            self._newest[subject] = (moment, known | {label})

    def add_message(self, value: bytes | None) -> None:
        """Take an outcome from a topic: a JSON object."""
        try:
            found = json.loads(value or b"")
        except ValueError:
            found = None
        self.add(found if isinstance(found, Mapping) else {})

    def judge(self, subject: str, processed: str) -> tuple[Status, str | None]:
        """Find what is known of a prediction: the status, and the label if it has one.

        Args:
            subject: the identifier.
            processed: the time at which the record was scored, in ISO 8601.
        """
        if subject not in self._newest:
            return Status.UNLABELLED, None
        moment, labels = self._newest[subject]
        scored = _parse_time(processed)
        if scored is not None and moment <= scored:
            return Status.KNOWN_BEFORE, None
        if len(labels) > 1:
            return Status.CONTRADICTED, None
        return Status.LABELLED, next(iter(labels))


def read_outcome_file(path: Path, outcomes: Outcomes) -> None:
    """Add the outcomes of a file.

    Args:
        path: a CSV or Parquet file with the columns of :attr:`Outcomes.names`.
        outcomes: the outcomes to add to.

    Raises:
        SourceError: the file cannot be read, or lacks a column.
    """
    expected = ", ".join(outcomes.names)
    hint = f"name a CSV or Parquet file with the columns {expected}"
    if path.suffix not in _TABLES:
        raise SourceError(
            f"{path}: found the suffix {path.suffix or 'none'}, expected .csv or .parquet",
            hint=hint,
        )
    try:
        table = read_table(path)
    except (OSError, ValueError) as error:
        raise SourceError(f"{path}: cannot be read: {first_line(str(error))}", hint=hint) from error
    missing = [name for name in outcomes.names if name not in table]
    if missing:
        raise SourceError(f"{path}: found no column {', '.join(missing)}", hint=hint)
    for values in zip(*(table[name] for name in outcomes.names), strict=True):
        outcomes.add(dict(zip(outcomes.names, values, strict=True)))
