"""Compute rates from what an observer saw: how many records were out at which moment.

This module is pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class Sighting(NamedTuple):
    """One look at the output topics.

    Attributes:
        at_s: the time by the monotonic clock; 0 is the start of the contestant's process.
        total: the number of messages that a read_committed reader could read.
    """

    at_s: float
    total: int


def find_finish_s(sightings: Sequence[Sighting]) -> float | None:
    """Return when the last message had come out; None where there was none."""
    if not sightings or sightings[-1].total == 0:
        return None
    final = sightings[-1].total
    return next(sighting.at_s for sighting in sightings if sighting.total == final)


def find_first_s(sightings: Sequence[Sighting]) -> float | None:
    """Return when the first message was out; None where there was none."""
    return next((sighting.at_s for sighting in sightings if sighting.total > 0), None)


def compute_rate(sightings: Sequence[Sighting], records: int, share: float) -> float | None:
    """Compute the records per second from when a share of them was out until all were.

    A transaction adds a marker to the offsets of each partition, so counts are a little above the
    number of records; they are scaled down.

    Args:
        sightings: the sightings in the order of time.
        records: the number of records whose answers came out.
        share: the share in (0, 1) of the first records, which are left out of the rate.

    Returns:
        The rate; None where all records came out at once, so that nothing is left to measure.
    """
    finish_s = find_finish_s(sightings)
    if finish_s is None:
        return None
    final = sightings[-1].total
    start = next(sighting for sighting in sightings if sighting.total >= share * final)
    if start.at_s >= finish_s:
        return None
    return records * (1 - start.total / final) / (finish_s - start.at_s)
