"""Decides when a query that has failed is started again. Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class RestartPolicy:
    """Restarts after doubling delays, up to a number of failures in a row.

    Attributes:
        limit: the number of restarts without a finished batch between them; 0 for none.
        first_delay_s: the delay before the first restart.
        longest_delay_s: the longest delay.
    """

    limit: int
    first_delay_s: float = 1.0
    longest_delay_s: float = 30.0

    def find_delay_s(self, failures: int) -> float | None:
        """Compute the seconds to wait after so many failures in a row (from 1); None to give up."""
        if failures > self.limit:
            return None
        return float(min(self.first_delay_s * 2 ** (failures - 1), self.longest_delay_s))
