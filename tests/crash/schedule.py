"""Define what happens to the job and when, as data that is written as JSON.

This module is pure.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

# Steps of a transaction; ``producer`` and ``writer`` in lib.exactly_once.transaction name them.
STEPS = ("opening", "initialised", "begun", "produced", "offsets_sent", "committed")
# Requests, with their numbers in Kafka's protocol.
REQUESTS = {
    "Produce": 0,
    "InitProducerId": 22,
    "AddPartitionsToTxn": 24,
    "AddOffsetsToTxn": 25,
    "EndTxn": 26,
    "TxnOffsetCommit": 28,
}

Parameters = Mapping[str, str | float | bool]


class Site(StrEnum):
    """Sites on which a leg takes place."""

    ONE = "one broker"
    THREE = "three brokers"  # all topics are on all brokers, two must have what is acknowledged
    NETWORK = "three brokers, each in a network of its own"  # the job has its own network too
    FORGETFUL = "one broker that forgets offsets and transactional ids within a minute"


class Kind(StrEnum):
    """Kinds of strike. The first part kills processes, the second part disturbs."""

    DRIVER = "driver"  # the driver's whole process group is killed
    JVM = "jvm"  # the driver's JVM alone is killed
    PYTHON = "python"  # the driver's Python alone is killed
    WORKER = "worker"  # a Python worker that scores is killed
    EXECUTOR = "executor"
    BROKER = "broker"  # a broker is killed and restarted
    OWNER = "owner"  # the process whose request to the broker is under way is killed
    STEP = "step"  # the driver dies at a step of a transaction
    START = "start"  # the job is killed while it starts
    ZOMBIE = "zombie"  # the job is stopped, a second one takes over, the first one continues
    CHECKPOINT = "checkpoint"  # the driver is killed and its checkpoint deleted
    PROMOTION = "promotion"  # another model becomes the champion and the driver is killed
    # Another model becomes the champion while the job runs, which is killed around the moment at
    # which it takes it.
    RELOAD = "reload"
    COMMIT = "commit"  # the job is killed, and the other side, driver or tasks, commits
    # Killed while a transaction on the input is open, others were aborted.
    TRANSACTIONS = "transactions"
    # Records that are answered, but not noted so, are deleted from the input.
    RETENTION = "retention"

    # These need three brokers: one of them is killed and restarted, or two are down.
    TRANSACTION_COORDINATOR = "transaction coordinator"
    GROUP_COORDINATOR = "group coordinator"
    LEADER = "leader"  # the leader of a partition of the input or an output topic is killed
    MAJORITY = "majority"  # two brokers are down for a while, and nothing can be written

    ROLLING = "rolling restart"  # all brokers are restarted, one after the other
    CUT = "cut"  # two sides cannot reach each other for a while
    UNREACHABLE = "unreachable"  # there is no connection to any broker for a while
    REQUEST = "request"  # a proxy delays, holds, strays or loses a request or its response
    OFFSETS = "offsets"  # the group's offsets are deleted while the job runs
    PARTITION = "partition"  # the input topic gets one more partition
    # A flood of broken records: the job stops itself, and is told to accept them.
    BRAKE = "brake"
    IDLE = "idle"  # no records come until everything has expired


#: Kinds of strike that need a site with three brokers.
ON_THREE = frozenset(
    {
        *(Kind.TRANSACTION_COORDINATOR, Kind.GROUP_COORDINATOR, Kind.LEADER, Kind.MAJORITY),
        Kind.ROLLING,
    }
)
KILLS = frozenset(
    {
        *(Kind.DRIVER, Kind.JVM, Kind.PYTHON, Kind.WORKER, Kind.EXECUTOR, Kind.BROKER),
        *(Kind.OWNER, Kind.STEP, Kind.START, Kind.ZOMBIE, Kind.CHECKPOINT, Kind.PROMOTION),
        *(Kind.RELOAD, Kind.COMMIT, Kind.TRANSACTIONS, Kind.RETENTION),
        *(Kind.TRANSACTION_COORDINATOR, Kind.GROUP_COORDINATOR, Kind.LEADER, Kind.MAJORITY),
    }
)


@dataclass(frozen=True)
class Strike:
    """One strike against the job or its brokers.

    Attributes:
        kind: kind of strike.
        after_records: number of answers to wait for first, counted from the last recovery.
        delay_s: seconds to wait after that, so that strikes hit any moment of a batch.
        parameters: parameters of this kind of strike, like ``{"step": "committed"}``.
    """

    kind: Kind
    after_records: int
    delay_s: float
    parameters: Parameters = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The kind and its most telling parameter, for tables."""
        step, request = self.parameters.get("step"), self.parameters.get("request")
        if step is not None:
            return f"{self.kind} {step}"
        if request is not None:
            return f"{self.kind} {request} {self.parameters['action']}"
        if self.kind is Kind.CUT:
            return f"{self.kind} {self.parameters['who']}"
        return str(self.kind)


@dataclass(frozen=True)
class Leg:
    """A part of a campaign, with its own brokers, topics and set-up.

    Attributes:
        backend: the backend that scores.
        is_cluster: whether executors are separate processes.
        records: lowest number of records to send in this leg.
        strikes: strikes in their order.
        site: site on which the leg takes place.
        has_rivals: whether a challenger answers a share of the records, and a shadow scores all.
    """

    backend: str
    is_cluster: bool
    records: int
    strikes: Sequence[Strike]
    site: Site = Site.ONE
    has_rivals: bool = False

    @property
    def setup(self) -> str:
        """The backend, whether it scores on a cluster, and who scores beside the champion."""
        where = "cluster" if self.is_cluster else "local"
        return f"{self.backend}, {where}{', challenger and shadow' * self.has_rivals}"


@dataclass(frozen=True)
class Schedule:
    """The plan of a whole campaign.

    Attributes:
        seed: seed from which the schedule was drawn.
        legs: legs in their order.
    """

    seed: int
    legs: Sequence[Leg]

    @property
    def kills(self) -> int:
        """Number of strikes that kill something."""
        return sum(strike.kind in KILLS for leg in self.legs for strike in leg.strikes)

    @property
    def records(self) -> int:
        """Lowest number of records to send in all legs."""
        return sum(leg.records for leg in self.legs)

    def to_json(self) -> str:
        """Return the schedule as JSON, to be replayed or changed by hand."""
        return json.dumps(asdict(self), indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Schedule:
        """Read a schedule from JSON.

        Raises:
            ValueError: the text has other fields, or names an unknown kind.
        """
        try:
            fields = json.loads(text)
            return cls(fields["seed"], tuple(_read_leg(leg) for leg in fields["legs"]))
        except (KeyError, TypeError) as error:
            raise ValueError(f"no schedule: {error}") from error


def _read_leg(fields: dict[str, Any]) -> Leg:
    strikes = tuple(
        Strike(**{**strike, "kind": Kind(strike["kind"])}) for strike in fields["strikes"]
    )
    return Leg(**{**fields, "strikes": strikes, "site": Site(fields.get("site", Site.ONE))})
