"""Follows which version of a model may answer the next record of a key, as champions change."""

from __future__ import annotations

from math import inf

# A message and a promotion have times of the same machine, in milliseconds at best.
_SLACK_S = 0.01


class Champions:
    """The promotions so far, and the one that each key has come to.

    The versions that answer the records of a key follow the promotions, in their order: a job may
    pass over a promotion, and may score long after one with the version before it, because it
    repeats a batch. It may not go back, nor score with a version that nobody has promoted yet.

    Args:
        first: the champion at the start, like ``churn@1``.
    """

    def __init__(self, first: str) -> None:
        self._promotions = [(-inf, first)]
        self._reached: dict[int, int] = {}

    def blank(self) -> Champions:
        """Return the same promotions, and no answer."""
        again = Champions("")
        again._promotions = list(self._promotions)
        return again

    def promote(self, version: str, at_s: float) -> None:
        """Note a promotion, before it is made."""
        self._promotions.append((at_s, version))

    def note(self, key: int, version: str, at_s: float) -> bool:
        """Note the version that answers the next record of a key; return whether it may.

        Args:
            key: the key.
            version: the version.
            at_s: the time of the answer in seconds since 1970.
        """
        for number in range(self._reached.get(key, 0), len(self._promotions)):
            since_s, champion = self._promotions[number]
            if champion == version and since_s <= at_s + _SLACK_S:
                self._reached[key] = number
                return True
        return False
