"""Defines how outcomes count, and which cohorts are complete. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum


class Status(StrEnum):
    """The states of a prediction's outcome."""

    LABELLED = "labelled"  # an outcome follows it
    UNLABELLED = "unlabelled"  # there is none yet
    AFTER_HORIZON = "after_horizon"  # one follows, but only beyond the horizon
    KNOWN_BEFORE = "known_before"  # the only ones are not newer than the prediction
    CONTRADICTED = "contradicted"  # at the newest time there are two labels


class Reason(StrEnum):
    """The reasons for which a message or row is left out before anything is joined."""

    NO_VALUE = "no_value"  # it has no value, or the row has none in a field
    NO_JSON = "no_json"  # it is no JSON object
    NO_IDENTIFIER = "no_identifier"
    NO_LABEL = "no_label"  # no label, or another one than the contract's two
    NO_TIME = "no_time"  # no time, or one that is no ISO 8601
    NO_PROBABILITY = "no_probability"  # no number in [0, 1]; predictions only
    NO_VERSION = "no_version"  # no model version; predictions only


#: Ages of labels: the first day that belongs to the class, and its name.
AGES: tuple[tuple[int, str], ...] = (
    (0, "up to 1 day"),
    (1, "1 to 7 days"),
    (7, "7 to 30 days"),
    (30, "30 to 90 days"),
    (90, "90 to 180 days"),
    (180, "180 to 365 days"),
    (365, "over 365 days"),
)


@dataclass(frozen=True)
class Definition:
    """The rules by which outcomes count.

    Attributes:
        as_of: the time up to which ages count, with a time zone.
        by_event_time: whether a prediction counts as made at the time of its record's event,
            instead of the time at which it was scored.
        horizon_days: an outcome counts up to so many days after the prediction; None for ever.
        max_age_days: an outcome that comes later than this counts, and is called late.
        mature_after_days: the days after which the labels of a week's predictions are complete.
        recent_weeks: the complete weeks that are compared with the training.
    """

    as_of: datetime
    by_event_time: bool = False
    horizon_days: float | None = None
    max_age_days: float = 90.0
    mature_after_days: float = 30.0
    recent_weeks: int = 4

    @property
    def last_complete_week(self) -> date:
        """The Monday of the newest week whose last prediction is old enough to be complete."""
        end = self.as_of.astimezone(UTC) - timedelta(days=self.mature_after_days)
        monday = end.date() - timedelta(days=end.weekday())
        return monday - timedelta(days=7)

    def is_complete(self, week: date) -> bool:
        """Tell whether the labels of the predictions of a week are complete."""
        return week <= self.last_complete_week

    def is_recent(self, week: date) -> bool:
        """Tell whether a week is one of the newest complete ones."""
        first = self.last_complete_week - timedelta(weeks=self.recent_weeks - 1)
        return first <= week <= self.last_complete_week


def find_age(days: float) -> int:
    """Find the class of an age of a label in days, as its place in :data:`AGES`."""
    return max(place for place, (first, _) in enumerate(AGES) if days >= first)
