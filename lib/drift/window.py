"""A window: what was counted of the records that one version has answered for a while. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lib.drift.profile import Profile


@dataclass
class Window:
    """The counts of one window, open or closed.

    Attributes:
        number: the number of the window in its checkpoint, from 1.
        model_version: the model and the backend that answered.
        profile: the profile of that version.
        began_s: the time of the first record that was counted, in seconds since 1970.
        ended_s: the time of the last one.
        counts: the number of records in each bin of each quantity of the profile.
        predictions: the number of predictions of the version, put into bins or not.
        refused: field → number of records that became dead letters because of its value;
            without a name for other dead letters.
    """

    number: int
    model_version: str
    profile: Profile
    began_s: float
    ended_s: float = 0.0
    counts: list[list[int]] = field(default_factory=list)
    predictions: int = 0
    refused: Counter[str] = field(default_factory=Counter)

    @property
    def answered(self) -> int:
        """The number of records that were answered."""
        return self.predictions + sum(self.refused.values())

    @property
    def records(self) -> int:
        """The number of records that were put into bins."""
        return sum(self.counts[-1]) if self.counts else 0

    def add(
        self,
        counts: Sequence[Sequence[int]] | None,
        predictions: int,
        refused: Mapping[str, int],
        now_s: float,
    ) -> None:
        """Add records that were committed.

        Args:
            counts: the number of records in the first bins of each quantity; None for none.
            predictions: the number of predictions of the version.
            refused: field → number of dead letters because of its value; without a name for others.
            now_s: the time of the commit, in seconds since 1970.
        """
        if not self.counts:
            self.counts = [[0] * bins.size for bins in self.profile.quantities]
        for known, new in zip(self.counts, counts or (), strict=False):
            for place, count in enumerate(new):
                known[place] += count
        self.predictions += predictions
        self.refused.update(refused)
        self.ended_s = now_s

    def to_json(self) -> dict[str, Any]:
        """Return the window as JSON types, which :meth:`from_json` reads."""
        return {
            "number": self.number,
            "model_version": self.model_version,
            "began_s": self.began_s,
            "ended_s": self.ended_s,
            "predictions": self.predictions,
            "refused": dict(self.refused),
            "counts": self.counts,
            "profile": self.profile.to_dict(),
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Window:
        """Read what :meth:`to_json` returns.

        Raises:
            KeyError, TypeError, ValueError, AttributeError: the values are no window.
        """
        window = cls(
            int(values["number"]),
            str(values["model_version"]),
            Profile.from_dict(values["profile"]),
            float(values["began_s"]),
            float(values["ended_s"]),
            [[int(count) for count in row] for row in values["counts"]],
            int(values["predictions"]),
            Counter({str(name): int(count) for name, count in values["refused"].items()}),
        )
        sizes = [bins.size for bins in window.profile.quantities]
        if window.counts and [len(row) for row in window.counts] != sizes:
            raise ValueError(f"found counts of other bins than those of {window.model_version}")
        return window
