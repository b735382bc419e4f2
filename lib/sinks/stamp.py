"""Who committed an offset: a mark in the offset's metadata, written in the same transaction."""

from __future__ import annotations

from dataclasses import dataclass

_VERSION = "v1"


@dataclass(frozen=True)
class Stamp:
    """The query, the run of it and the batch that committed an offset.

    Attributes:
        query_id: Spark's id of the query; it lives as long as the checkpoint.
        run_id: one driver process; differs after every start.
        batch_id: Spark's batch; -1 for offsets committed before the first one.
    """

    query_id: str
    run_id: str
    batch_id: int

    def to_metadata(self) -> str:
        """Write the stamp as text."""
        return f"{_VERSION}/{self.query_id}/{self.run_id}/{self.batch_id}"

    @classmethod
    def from_metadata(cls, metadata: str | None) -> Stamp | None:
        """Read a stamp; None where the offset was committed by something else."""
        match (metadata or "").split("/"):
            case [version, query_id, run_id, batch_id] if version == _VERSION:
                try:
                    return cls(query_id, run_id, int(batch_id))
                except ValueError:
                    return None
        return None
