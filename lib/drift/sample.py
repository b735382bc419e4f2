"""Chooses the records that are put into bins, the same ones however often they are read. Pure."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

# A multiplier of Fibonacci hashing; offsets that a producer's rhythm makes alike are spread.
MULTIPLIER = 2_654_435_769
# The product of a masked offset and the multiplier is below 2^63.
OFFSET_MASK = 2**31 - 1
SHIFT, SCALE = 16, 2**16


def find_bound(sample: int) -> int:
    """Return the bound of the hashes of one record of so many."""
    return -(-SCALE // sample)


def are_sampled(offsets: npt.NDArray[np.int64], sample: int) -> npt.NDArray[np.bool_]:
    """Tell which records are chosen, bool [n].

    Args:
        offsets: the offsets of the records in their partitions, int64 [n].
        sample: one record of about so many is chosen.
    """
    hashes = ((offsets & OFFSET_MASK) * MULTIPLIER >> SHIFT) & (SCALE - 1)
    chosen: npt.NDArray[np.bool_] = hashes < find_bound(sample)
    return chosen
