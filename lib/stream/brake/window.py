"""The outcomes of the last records, and whether too many of them are dead letters. Pure.

An outcome is one truth value: whether the record is answered with a dead letter.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Outcomes = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Limit:
    """The share of dead letters that the brake allows.

    Attributes:
        share: the largest share that is allowed, in (0, 1).
        over: the number of records over which it is taken.
    """

    share: float
    over: int

    @property
    def allowed(self) -> int:
        """The largest number of dead letters among :attr:`over` records in a row."""
        # 0.29 * 100 is a little less than 29.
        return int(self.share * self.over + 1e-9)


@dataclass(frozen=True)
class Excess:
    """The worst of the stretches of records that have too many dead letters.

    Attributes:
        dead: the number of dead letters in it.
        last: the position of its last record among the new ones.
    """

    dead: int
    last: int


def find_excess(recent: Outcomes, new: Outcomes, limit: Limit) -> Excess | None:
    """Find the worst stretch of :attr:`Limit.over` records that ends with a new dead letter.

    So records that are answered with predictions never are too many, whatever came before them.

    Args:
        recent: the outcomes of the records before, bool [at most over].
        new: the outcomes of the records to judge, in the order of the source, bool [n].
        limit: the share that is allowed.

    Returns:
        None if no stretch has too many dead letters, or if there are fewer records than a stretch
        has. Of equal stretches the first.
    """
    if int(np.count_nonzero(recent)) + int(np.count_nonzero(new)) <= limit.allowed:
        return None
    outcomes = np.concatenate((recent, new))
    sums = np.concatenate(([0], np.cumsum(outcomes, dtype=np.int64)))
    first = max(limit.over, len(recent) + 1)
    if first >= len(sums):
        return None
    dead = sums[first:] - sums[first - limit.over : len(sums) - limit.over]
    dead[~outcomes[first - 1 :]] = 0
    worst = int(dead.argmax())
    if dead[worst] <= limit.allowed:
        return None
    return Excess(int(dead[worst]), first + worst - len(recent) - 1)


def keep_last(recent: Outcomes, new: Outcomes, over: int) -> Outcomes:
    """Return the outcomes of the last records, at most ``over`` of them."""
    if len(new) >= over:
        return new[len(new) - over :].copy()
    return np.concatenate((recent[max(0, len(recent) + len(new) - over) :], new))


def spread(records: int, dead: int) -> Outcomes:
    """Return outcomes of which only the counts are known, with the dead letters spread evenly.

    Args:
        records: the number of records.
        dead: the number of dead letters among them.
    """
    steps = np.arange(records + 1, dtype=np.int64) * dead // max(records, 1)
    return np.diff(steps).astype(np.bool_)


def order_records(partitions: npt.NDArray[np.int32]) -> npt.NDArray[np.int64] | None:
    """Order the records of a batch about as they came.

    A batch holds what came to all partitions in the same time. So the records of each partition are
    spread evenly over the batch: the middle one of a partition stands beside that of another.

    Args:
        partitions: the partition of each record, those of a partition in order, int32 [n].

    Returns:
        The positions of the records in that order; None if they are in order already.
    """
    if not len(partitions) or (partitions == partitions[0]).all():
        return None
    grouped = np.argsort(partitions, kind="stable")
    counts = np.bincount(partitions)
    firsts = np.cumsum(counts) - counts
    ranks = np.empty(len(partitions), np.int64)
    ranks[grouped] = np.arange(len(partitions)) - firsts[partitions[grouped]]
    return np.argsort((ranks + 0.5) / counts[partitions], kind="stable")
