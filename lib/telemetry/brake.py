"""The state of the brake, as metrics and the page show it. Tasks import it: it needs no Spark."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class BrakeState:
    """The facts that the brake has found.

    Attributes:
        share: the share of dead letters among the last records; None before there are enough.
        limit: the share that is allowed.
        over: the number of the last records.
        stops: whether the job stops at more.
        is_engaged: whether there are too many now.
    """

    share: float | None
    limit: float
    over: int
    stops: bool
    is_engaged: bool

    @property
    def action(self) -> str:
        """The action of the brake, as ``--brake`` has it."""
        return "stop" if self.stops else "alert"
