"""The end of a run that answers a range of its topic. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class RangeEnd:
    """The end of a run in each partition.

    Spark's source knows no end. So the batches of such a run may reach beyond it; what lies there
    is neither answered nor committed.

    Attributes:
        offsets: partition → the first offset that is not answered. In other partitions, which were
            added while the run was going on, nothing is.
    """

    offsets: Mapping[int, int]

    def clip(self, offsets: Mapping[int, int]) -> dict[int, int]:
        """Limit offsets to those before the end."""
        return {it: min(at, self.offsets.get(it, 0)) for it, at in offsets.items()}

    def is_reached(self, offsets: Mapping[int, int | None]) -> bool:
        """Tell whether all before the end lies before these offsets too."""
        return all((offsets.get(it) or 0) >= end for it, end in self.offsets.items())
