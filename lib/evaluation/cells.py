"""The counts that are taken of the joined table. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from lib.evaluation.definition import Status

#: The parts of the table that are measured. A value names one of them: a version, the Monday of a
#: week, or the number of an age.
ALL, COMPLETE, VERSION, WEEK, AGE, RECENT = "all", "complete", "version", "week", "age", "recent"


@dataclass(frozen=True)
class Cell:
    """Rows that have the same version, week and so on.

    Attributes:
        version: the model version.
        week: the Monday of the week of the predictions.
        status: the state of the outcomes.
        is_late: whether the outcomes are late.
        age: the class of the labels' age, a place in :data:`AGES`; None without a label.
        predicted_age: the class of the predictions' own age.
        rows: the number of rows.
    """

    version: str
    week: date
    status: Status
    is_late: bool
    age: int | None
    predicted_age: int
    rows: int


@dataclass(frozen=True)
class OutcomeCounts:
    """The outcomes that were read so far, by what became of them.

    Attributes:
        messages: the number of messages that are outcomes.
        distinct: the number of distinct outcomes: identifier, label and time.
        contradicting: the number of identifiers with both labels.
        unknown: the number of distinct outcomes without any prediction of their identifier.
        too_old: the number of distinct outcomes that no prediction of their identifier precedes.
    """

    messages: int
    distinct: int
    contradicting: int
    unknown: int
    too_old: int

    @property
    def doubles(self) -> int:
        """The number of messages that repeat an outcome."""
        return self.messages - self.distinct
