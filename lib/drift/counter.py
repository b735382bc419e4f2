"""Counts records into windows, and closes those that are full. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lib.drift.judgement import LEAST_RECORDS
from lib.drift.profile import Binning, Profile
from lib.drift.window import Window

# Key of a profile → the counts of the first bins of each quantity.
Counts = Mapping[str, Sequence[Sequence[int]]]


@dataclass(frozen=True)
class WindowLimits:
    """The size at which a window closes.

    Attributes:
        records: the number of counted records.
        seconds: the time since its first record; a window of too few records goes on.
    """

    records: int
    seconds: float


class WindowCounter:
    """Counts the records of one query into windows.

    Counted bins carry the key of the profile and the model that they are of. So it does not matter
    when a new version comes into force, or whether an old batch is repeated by the version that had
    begun it: a window holds the records of one version only, and ends where another's begin.

    Args:
        limits: the size at which a window closes.
    """

    def __init__(self, limits: WindowLimits) -> None:
        self._limits = limits
        self._profiles: dict[str, tuple[str, Profile]] = {}
        self._through: dict[int, int] = {}
        self._number = 0
        self.window: Window | None = None

    def expect(self, binning: Binning) -> None:
        """Take a version's profile, whose records may come from now on."""
        if binning.profile is not None:
            key = binning.profile.make_key(binning.model_version).hex()
            self._profiles[key] = (binning.model_version, binning.profile)

    def add(
        self,
        counts: Counts,
        predictions: Mapping[str, int],
        refused: Mapping[str, int],
        through: Mapping[int, int],
        now_s: float,
    ) -> list[Window]:
        """Add the records of a batch that was committed, and return the windows that it closes.

        Args:
            counts: key of a profile → number of records in the first bins of each quantity.
            predictions: model and backend → number of predictions.
            refused: field → number of dead letters because of its value; without a name for others.
            through: partition → the offset below which all records are counted.
            now_s: the time of the commit, in seconds since 1970.
        """
        closed = []
        self._through.update(through)
        known = [key for key in counts if key in self._profiles]
        for key in known:
            version, profile = self._profiles[key]
            if self.window is not None and not _is_of(self.window, version, profile):
                closed += self.close()
            if self.window is None:
                self._number += 1
                self.window = Window(self._number, version, profile, now_s)
            # The dead letters of a batch of two versions are those of the last one.
            is_last = key == known[-1]
            letters = refused if is_last else {}
            self.window.add(counts[key], predictions.get(version, 0), letters, now_s)
            if self._is_full(self.window, now_s):
                closed += self.close()
        if not known and self.window is not None:
            made = predictions.get(self.window.model_version, 0)
            self.window.add(None, made, refused, now_s)
        return closed

    def close(self) -> list[Window]:
        """Close the open window, and return it if there is one."""
        closed = [] if self.window is None else [self.window]
        self.window = None
        return closed

    def _is_full(self, window: Window, now_s: float) -> bool:
        if window.records >= self._limits.records:
            return True
        is_old = now_s - window.began_s >= self._limits.seconds
        return is_old and window.records >= min(LEAST_RECORDS, self._limits.records)

    def to_json(self) -> dict[str, Any]:
        """Return the counts and their offsets as JSON types, which :meth:`resume` reads."""
        return {
            "through": {str(partition): at for partition, at in self._through.items()},
            "number": self._number,
            "window": None if self.window is None else self.window.to_json(),
        }

    def resume(self, state: Mapping[str, Any], positions: Mapping[int, int | None]) -> bool:
        """Go on with the counts of an earlier run, unless records would be counted twice.

        Args:
            state: the value that :meth:`to_json` has returned.
            positions: partition → the first offset without an answer.

        Returns:
            Whether the counts go on; if not, an empty window begins.

        Raises:
            KeyError, TypeError, ValueError, AttributeError: the state is none.
        """
        through = {int(partition): int(at) for partition, at in state["through"].items()}
        number = int(state["number"])
        window = None if state["window"] is None else Window.from_json(state["window"])
        # The number is kept in any case: closed windows have the ones before.
        self._number = number
        if not _is_before(through.items(), positions):
            return False
        self._through, self.window = through, window
        return True


def _is_of(window: Window, version: str, profile: Profile) -> bool:
    return window.model_version == version and window.profile == profile


def _is_before(through: Iterable[tuple[int, int]], positions: Mapping[int, int | None]) -> bool:
    return all(at <= (positions.get(partition) or 0) for partition, at in through)
