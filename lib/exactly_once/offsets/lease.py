"""Decides whether the run that has committed a query's offsets is alive. Pure.

A run's stamps say until when others have to take it for alive. It commits again before that time,
even if it is idle, and its last stamp says that it has ended. Exactly-once does not depend on
leases: a run that is taken for dead and is alive is fenced, as any older run is. A lease only keeps
two runs from fencing each other in turns.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from lib.exactly_once.offsets.stamp import Lease, Stamp


@dataclass(frozen=True)
class Owner:
    """The run that has committed last, if it gives a lease.

    Attributes:
        run_id: the id of the run in its stamps.
        lease: the lease in the last stamp.
    """

    run_id: str
    lease: Lease

    @property
    def host(self) -> str:
        """The name of its machine."""
        return self.run_id.split(":")[0]

    @property
    def pid(self) -> int:
        """The number of its process; 0 if the run's id does not hold it."""
        parts = self.run_id.split(":")
        return int(parts[1]) if len(parts) > 1 and parts[1].isdecimal() else 0

    @property
    def identity(self) -> str:
        """The identity of its process; see ``lib.exactly_once.offsets.process_identity``."""
        parts = self.run_id.split(":")
        return parts[2].partition(".")[2] if len(parts) == 3 else ""

    def __str__(self) -> str:
        return f"run {self.run_id} (host {self.host}, process {self.pid or 'unknown'})"


class Life(Enum):
    """The verdict that a run is alive, or the reason why it is not."""

    ALIVE = "alive"
    ENDED = "its process has ended"
    EXPIRED = "its lease has expired"
    SILENT = "it has not committed for a whole lease"


def find_owner(metadata: Iterable[str | None], own_run_id: str) -> Owner | None:
    """Find the run that has committed last, unless it is this one or has released the query.

    Args:
        metadata: the metadata of all the group's offsets.
        own_run_id: the id of the run that asks.

    Returns:
        The run; None if there is none, or if versions before 0.1.0 made the stamps, without leases.
    """
    stamps = [stamp for text in metadata if (stamp := Stamp.from_metadata(text)) is not None]
    leases = [
        (stamp.lease.committed_s, stamp.lease.lasts_s == 0, stamp)
        for stamp in stamps
        if stamp.lease is not None and stamp.run_id != own_run_id
    ]
    if not leases:
        return None
    # Among stamps of one second, the one without a lease is the last one: no other follows it.
    stamp = max(leases, key=lambda found: found[:2])[2]
    assert stamp.lease is not None
    return Owner(stamp.run_id, stamp.lease) if stamp.lease.lasts_s else None


def judge_owner(owner: Owner, *, now_s: float, unchanged_s: float, has_ended: bool) -> Life:
    """Decide whether a run is alive.

    Args:
        owner: the run.
        now_s: Unix time on this machine. The owner's clock may differ, which delays the takeover by
            one lease at most.
        unchanged_s: the seconds since its stamps have changed last, on this machine's clock.
        has_ended: whether its process is known to have ended.
    """
    if has_ended:
        return Life.ENDED
    if now_s > owner.lease.committed_s + owner.lease.lasts_s:
        return Life.EXPIRED
    if unchanged_s > owner.lease.lasts_s:
        return Life.SILENT
    return Life.ALIVE
