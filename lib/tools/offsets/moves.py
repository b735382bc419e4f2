"""Says what a change of a group's positions skips or repeats. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Move:
    """The change of a position in a partition.

    Attributes:
        partition: the number of the partition.
        before: the position now; None where there is none.
        after: the position afterwards; None where there is none.
    """

    partition: int
    before: int | None
    after: int | None

    def __str__(self) -> str:
        """Say what the change means for the records, as far as the positions tell."""
        before, after = self.before, self.after
        if before is None:
            return "had no position"
        if after is None:
            return "has no position any more"
        if after > before:
            return f"skips {after - before:,} offsets: their records get no answer"
        if after < before:
            return f"repeats {before - after:,} offsets: their records are answered again"
        return "stays"


def plan_moves(committed: Mapping[int, int | None], targets: Mapping[int, int]) -> list[Move]:
    """List the changes that lead to the targets, in the order of the partitions.

    Args:
        committed: partition → the position now, None where there is none.
        targets: partition → the position afterwards; other partitions are left alone.
    """
    return [Move(it, committed.get(it), after) for it, after in sorted(targets.items())]


def plan_deletion(committed: Mapping[int, int | None]) -> list[Move]:
    """List the changes that leave a group without positions."""
    return [Move(it, before, None) for it, before in sorted(committed.items())]


def list_moves(moves: Sequence[Move]) -> Iterator[str]:
    """Write the changes as a table."""
    yield "partition |     position |          new | what it means"
    for move in moves:
        before, after = spell(move.before), spell(move.after)
        yield f"{move.partition:>9} | {before:>12} | {after:>12} | {move}"


def spell(offset: int | None) -> str:
    """Write an offset that may be missing."""
    return "none" if offset is None else str(offset)
