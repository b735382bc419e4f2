"""Who committed an offset: a mark in its metadata, written in the same transaction. Pure."""

from __future__ import annotations

import os
import socket
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

_VERSION = "v2"
#: Stands for Spark's id of a query whose checkpoint does not exist yet.
UNKNOWN_QUERY = "-"
#: Stands for a topic id that was not asked for.
UNKNOWN_TOPIC = "-"
#: Stands for the batch of offsets that a driver committed at its start, to say that it took over.
CLAIM = -1


class Committer(StrEnum):
    """Where transactions are committed; each has transactional ids of its own."""

    DRIVER = "driver"
    EXECUTOR = "executor"


@dataclass(frozen=True)
class Author:
    """What all stamps of one run have in common.

    Attributes:
        run_id: one start of one driver process; names its machine and process for people.
        topic_id: Kafka's id of the source topic; a topic that is deleted and made anew has another.
        committer: where this run commits.
    """

    run_id: str
    topic_id: str = UNKNOWN_TOPIC
    committer: Committer = Committer.DRIVER

    def sign(self, query_id: str, batch_id: int) -> Stamp:
        """The stamp of a batch."""
        return Stamp(query_id, self.run_id, batch_id, self.topic_id, self.committer)


@dataclass(frozen=True)
class Stamp:
    """The query, the run of it and the batch that committed an offset.

    Attributes:
        query_id: Spark's id of the query; it lives as long as the checkpoint.
        run_id: see :class:`Author`.
        batch_id: Spark's batch; :data:`CLAIM` for offsets committed before the first one.
        topic_id: see :class:`Author`.
        committer: where the offset was committed.
    """

    query_id: str
    run_id: str
    batch_id: int
    topic_id: str = UNKNOWN_TOPIC
    committer: Committer = Committer.DRIVER

    def to_metadata(self) -> str:
        """Write the stamp as text."""
        parts = (self.query_id, self.run_id, str(self.batch_id), self.topic_id, self.committer)
        return "/".join((_VERSION, *parts))

    @classmethod
    def from_metadata(cls, metadata: str | None) -> Stamp | None:
        """Read a stamp; None where the offset was committed by something else."""
        match (metadata or "").split("/"):
            case [version, query_id, run_id, batch_id, topic_id, committer] if version == _VERSION:
                try:
                    return cls(query_id, run_id, int(batch_id), topic_id, Committer(committer))
                except ValueError:
                    return None
        return None


def make_run_id() -> str:
    """An id for this start of this process: machine, process, and a random part."""
    host = socket.gethostname().replace("/", "-") or "unknown"
    return f"{host}:{os.getpid()}:{uuid.uuid4().hex[:8]}"


def has_committed(committer: Committer, stamps: Mapping[int, str | None]) -> bool:
    """Whether any of the offsets with this metadata was committed there."""
    found = (Stamp.from_metadata(metadata) for metadata in stamps.values())
    return any(stamp is not None and stamp.committer is committer for stamp in found)
