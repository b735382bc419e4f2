"""The stamp in an offset's metadata, which says who has committed the offset. Pure."""

from __future__ import annotations

import os
import re
import socket
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from lib.exactly_once.offsets.process_identity import identify_process

_VERSION = "v2"
#: It stands for Spark's id of a query whose checkpoint does not exist yet.
UNKNOWN_QUERY = "-"
#: It stands for a person, who has set the offset with ``jobs/offsets.py``.
PERSON = "person"
#: It stands for a topic id that was not asked for.
UNKNOWN_TOPIC = "-"
#: It stands for a batch, in the stamps of offsets that a driver commits when it takes over.
CLAIM = -1


# A run's id and its lease share a field, which versions before 0.1.0 read as an id.
_LEASED = re.compile(r"(.*)@(\d+)\+(\d+)", re.DOTALL)


class Committer(StrEnum):
    """The place where a query commits, which decides its transactional ids."""

    DRIVER = "driver"
    EXECUTOR = "executor"


@dataclass(frozen=True)
class Author:
    """A run of a query, which signs offsets.

    Attributes:
        run_id: the id of one start of one driver process; it names machine and process for people.
        topic_id: Kafka's id of the source topic, which changes if the topic is recreated.
        committer: the place where this run commits.
        lease_s: the seconds for which each commit says that the run is alive; 0 for no lease.
    """

    run_id: str
    topic_id: str = UNKNOWN_TOPIC
    committer: Committer = Committer.DRIVER
    lease_s: int = 0

    def sign(self, query_id: str, batch_id: int) -> Stamp:
        """Return the stamp of a batch that is committed now."""
        lease = Lease(int(time.time()), self.lease_s)
        return Stamp(query_id, self.run_id, batch_id, self.topic_id, self.committer, lease)


@dataclass(frozen=True, order=True)
class Lease:
    """The time for which the run that has committed an offset is taken to be alive.

    Attributes:
        committed_s: Unix time of the commit, in seconds, by the clock of the machine that made it.
        lasts_s: the seconds from then on; 0 where the run has ended, or has no lease.
    """

    committed_s: int
    lasts_s: int


@dataclass(frozen=True)
class Stamp:
    """The query, the run of it and the batch that committed an offset.

    Attributes:
        query_id: Spark's id of the query; it lives as long as the checkpoint.
        run_id: see :class:`Author`.
        batch_id: Spark's number of the batch; :data:`CLAIM` for offsets that no batch committed.
        topic_id: see :class:`Author`.
        committer: the place where the offset was committed.
        lease: the lease of the run; None in the stamps of versions before 0.1.0.
    """

    query_id: str
    run_id: str
    batch_id: int
    topic_id: str = UNKNOWN_TOPIC
    committer: Committer = Committer.DRIVER
    lease: Lease | None = None

    @property
    def is_by_task_of_former_release(self) -> bool:
        """Whether a task of a version before 0.1.0 has committed it, under another id."""
        return self.lease is None and self.committer is Committer.EXECUTOR

    def to_metadata(self) -> str:
        """Write the stamp as text."""
        run = self.run_id
        if self.lease is not None:
            run = f"{run}@{self.lease.committed_s}+{self.lease.lasts_s}"
        parts = (self.query_id, run, str(self.batch_id), self.topic_id, self.committer)
        return "/".join((_VERSION, *parts))

    @classmethod
    def from_metadata(cls, metadata: str | None) -> Stamp | None:
        """Read a stamp; None where the offset was committed by something else."""
        match (metadata or "").split("/"):
            case [version, query_id, run, batch_id, topic_id, committer] if version == _VERSION:
                run_id, lease = _split_run(run)
                try:
                    return cls(
                        *(query_id, run_id, int(batch_id), topic_id, Committer(committer), lease)
                    )
                except ValueError:
                    return None
        return None


def _split_run(run: str) -> tuple[str, Lease | None]:
    match = _LEASED.fullmatch(run)
    if match is None:
        return run, None
    return match[1], Lease(int(match[2]), int(match[3]))


def make_run_id() -> str:
    """Make an id for this start of this process: host, number, a random part, its identity."""
    host = re.sub("[/:@]", "-", socket.gethostname()) or "unknown"
    words = (uuid.uuid4().hex[:8], identify_process())
    return f"{host}:{os.getpid()}:{'.'.join(filter(None, words))}"


def is_signed_by(metadata: str | None, run_id: str) -> bool:
    """Tell whether the run has committed the offset with this metadata."""
    stamp = Stamp.from_metadata(metadata)
    return stamp is not None and stamp.run_id == run_id


def has_committed(committer: Committer, stamps: Mapping[int, str | None]) -> bool:
    """Tell whether any of the offsets with this metadata was committed in that place."""
    found = (Stamp.from_metadata(metadata) for metadata in stamps.values())
    return any(stamp is not None and stamp.committer is committer for stamp in found)


def find_chosen(stamps: Mapping[int, str | None]) -> frozenset[int]:
    """Find the partitions whose offset a person has set with ``jobs/offsets.py``."""
    found = ((p, Stamp.from_metadata(metadata)) for p, metadata in stamps.items())
    return frozenset(p for p, stamp in found if stamp is not None and stamp.query_id == PERSON)
