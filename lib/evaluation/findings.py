"""Holds what an evaluation has found, from which its report is written. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

from lib.evaluation.baseline import Baseline, is_below
from lib.evaluation.cells import (
    AGE,
    ALL,
    COMPLETE,
    RECENT,
    VERSION,
    WEEK,
    Cell,
    OutcomeCounts,
)
from lib.evaluation.definition import AGES, Definition, Status
from lib.evaluation.quality import Quality

#: The form of report.json; readers of it look at this first.
FORM = 1
Measure = Callable[[str, str], Quality]


@dataclass(frozen=True)
class Part:
    """Some of the predictions.

    Attributes:
        name: the thing that they have in common: a version, the Monday of a week.
        statuses: status → number of predictions.
        late: the number of predictions whose label came late.
        quality: the quality of those with a label.
    """

    name: str
    statuses: Mapping[Status, int]
    late: int
    quality: Quality

    @property
    def predictions(self) -> int:
        """The number of all predictions."""
        return sum(self.statuses.values())

    @property
    def unlabelled_share(self) -> float:
        """The share of the predictions without any outcome yet."""
        return self.statuses.get(Status.UNLABELLED, 0) / max(self.predictions, 1)


@dataclass(frozen=True)
class AgePart:
    """The labels of one age.

    Attributes:
        name: the age.
        quality: the quality of the predictions with such labels.
        old_enough: the number of predictions that are older than this age.
        unlabelled_share: the share of these that had no label at this age; None without any.
    """

    name: str
    quality: Quality
    old_enough: int
    unlabelled_share: float | None


@dataclass(frozen=True)
class RecentPart:
    """The recent complete weeks of one version, beside its training.

    Attributes:
        part: the predictions.
        baseline: the quality in the training; None if the store does not have the version.
        is_below: whether the outcomes fall short of the training; None if it is not known.
    """

    part: Part
    baseline: Baseline | None
    is_below: bool | None


@dataclass(frozen=True)
class Reading:
    """The work of the run itself.

    Attributes:
        predictions, outcomes: the number of rows that were read.
        updated: predictions that an earlier report called unlabelled, and that have a label now.
        changed: predictions whose label is another one now.
        gone: offsets and files that were deleted before they were read, or after.
    """

    predictions: int
    outcomes: int
    updated: int
    changed: int
    gone: int


@dataclass(frozen=True)
class Findings:
    """The findings of one evaluation.

    Attributes:
        label, positive: the contract's label, and its value whose probability is predicted.
        definition: the rules by which outcomes count.
        reading: the work of the run itself.
        outcomes: the outcomes so far, by what became of them.
        refused: side → reason → messages or rows so far that are left out.
        all, complete: all predictions, and those of complete weeks.
        versions: the complete weeks of each version.
        weeks: all predictions by week, the oldest first.
        ages: the complete weeks by the age of their labels.
        recent: the recent complete weeks of each version.
    """

    label: str
    positive: str
    definition: Definition
    reading: Reading
    outcomes: OutcomeCounts
    refused: Mapping[str, Counter[str]]
    all: Part
    complete: Part
    versions: Sequence[Part]
    weeks: Sequence[Part]
    ages: Sequence[AgePart]
    recent: Sequence[RecentPart]

    def is_complete(self, week: Part) -> bool:
        """Tell whether the labels of a week are complete."""
        return self.definition.is_complete(date.fromisoformat(week.name))

    def to_json(self) -> dict[str, Any]:
        """Return the findings as JSON types, for report.json."""
        definition = self.definition
        return {
            "form": FORM,
            "label": self.label,
            "positive": self.positive,
            "definition": asdict(definition) | {"as_of": definition.as_of.isoformat()},
            "reading": asdict(self.reading),
            "outcomes": asdict(self.outcomes) | {"doubles": self.outcomes.doubles},
            "refused": {side: dict(reasons) for side, reasons in self.refused.items()},
            "all": _write_part(self.all),
            "complete": _write_part(self.complete),
            "versions": [_write_part(it) for it in self.versions],
            "weeks": [_write_part(it) | {"is_complete": self.is_complete(it)} for it in self.weeks],
            "ages": [asdict(it) for it in self.ages],
            "recent": [
                _write_part(it.part)
                | {
                    "training": None if it.baseline is None else asdict(it.baseline),
                    "is_below": it.is_below,
                }
                for it in self.recent
            ],
        }


def _write_part(part: Part) -> dict[str, Any]:
    statuses = {str(it): part.statuses.get(it, 0) for it in Status}
    return asdict(part) | {
        "statuses": statuses,
        "predictions": part.predictions,
        "unlabelled_share": part.unlabelled_share,
    }


def build_parts(
    cells: Sequence[Cell],
    definition: Definition,
    measure: Measure,
    find_baseline: Callable[[str], Baseline | None],
) -> dict[str, Any]:
    """Build the parts of :class:`Findings`, by the names of its attributes.

    Args:
        cells: the counts of all predictions.
        definition: the rules by which outcomes count.
        measure: a function that measures the part that a dimension and a value name.
        find_baseline: a function that finds the quality of a version in its training.
    """
    complete = [it for it in cells if definition.is_complete(it.week)]
    recent = [it for it in cells if definition.is_recent(it.week)]
    weeks = sorted({it.week for it in cells})

    def list_versions(chosen: Sequence[Cell], dimension: str) -> list[Part]:
        return [
            _build(name, [it for it in chosen if it.version == name], measure(dimension, name))
            for name in sorted({it.version for it in chosen})
        ]

    return {
        "all": _build("all", cells, measure(ALL, "")),
        "complete": _build("complete weeks", complete, measure(COMPLETE, "")),
        "versions": list_versions(complete, VERSION),
        "weeks": [
            _build(
                week.isoformat(),
                [it for it in cells if it.week == week],
                measure(WEEK, week.isoformat()),
            )
            for week in weeks
        ],
        "ages": [
            _build_age(place, name, complete, measure(AGE, str(place)))
            for place, (_, name) in enumerate(AGES)
            if any(it.age == place for it in complete)
        ],
        "recent": [
            RecentPart(part, baseline, is_below(part.quality.roc_auc, baseline))
            for part in list_versions(recent, RECENT)
            for baseline in [find_baseline(part.name)]
        ],
    }


def _build(name: str, cells: Sequence[Cell], quality: Quality) -> Part:
    statuses: Counter[Status] = Counter()
    for cell in cells:
        statuses[cell.status] += cell.rows
    return Part(name, dict(statuses), sum(it.rows for it in cells if it.is_late), quality)


def _build_age(place: int, name: str, cells: Sequence[Cell], quality: Quality) -> AgePart:
    older = [it for it in cells if it.predicted_age > place]
    old_enough = sum(it.rows for it in older)
    without = sum(it.rows for it in older if it.age is None or it.age > place)
    return AgePart(name, quality, old_enough, without / old_enough if old_enough else None)
