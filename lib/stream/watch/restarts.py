"""When a query that failed is started again. Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class RestartPolicy:
    """Doubling delays, up to a number of failures in a row.

    Attributes:
        limit: restarts without a finished batch between them; 0 never restarts.
        first_delay_s: before the first of them.
        longest_delay_s: where doubling ends.
    """

    limit: int
    first_delay_s: float = 1.0
    longest_delay_s: float = 30.0

    def find_delay_s(self, failures: int) -> float | None:
        """Seconds to wait after so many failures in a row (1 or more); None to give up."""
        if failures > self.limit:
            return None
        return float(min(self.first_delay_s * 2 ** (failures - 1), self.longest_delay_s))
