"""What will be done to the job, and when: data, written as JSON. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

# Steps of a transaction: see ``producer`` and ``writer`` in lib.exactly_once.transaction.
STEPS = ("opening", "initialised", "begun", "produced", "offsets_sent", "committed")
# As Kafka's protocol numbers them.
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
    """Where a leg takes place."""

    ONE = "one broker"
    THREE = "three brokers"  # everything is on all of them, two must have what is acknowledged
    NETWORK = "three brokers, each in a network of its own"  # and so is the job
    FORGETFUL = "one broker that forgets offsets and transactional ids within a minute"


class Kind(StrEnum):
    """What happens. The first part kills processes, the second one disturbs."""

    DRIVER = "driver"  # the whole process group
    JVM = "jvm"  # the driver's JVM alone
    PYTHON = "python"  # the driver's Python alone
    WORKER = "worker"  # a Python worker that scores
    EXECUTOR = "executor"
    BROKER = "broker"  # one is killed and restarted
    OWNER = "owner"  # the process whose request to the broker is under way
    STEP = "step"  # the driver dies at a step of a transaction
    START = "start"  # killed while it starts
    ZOMBIE = "zombie"  # stopped; a second one takes over; then continued
    CHECKPOINT = "checkpoint"  # the driver is killed, its checkpoint deleted
    PROMOTION = "promotion"  # another model becomes the champion, the driver is killed
    COMMIT = "commit"  # killed, and started with the other strategy: driver or executor
    TRANSACTIONS = "transactions"  # killed while one on the input is open, others were aborted
    RETENTION = "retention"  # what is answered, but not noted as such, is deleted from the input

    # On three brokers: one is killed and restarted, or two are.
    TRANSACTION_COORDINATOR = "transaction coordinator"
    GROUP_COORDINATOR = "group coordinator"
    LEADER = "leader"  # of a partition of the input or an output topic
    MAJORITY = "majority"  # two brokers are down for a while, and nothing can be written

    ROLLING = "rolling restart"  # of all brokers, one after the other
    CUT = "cut"  # somebody cannot reach somebody else for a while
    UNREACHABLE = "unreachable"  # no connection to any broker for a while
    REQUEST = "request"  # a proxy delays, holds, strays or loses a request or its response
    OFFSETS = "offsets"  # the group's offsets are deleted while the job runs
    PARTITION = "partition"  # the input topic gets one more
    IDLE = "idle"  # nothing comes until everything has expired


#: Kinds that need a site with three brokers.
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
        *(Kind.COMMIT, Kind.TRANSACTIONS, Kind.RETENTION),
        *(Kind.TRANSACTION_COORDINATOR, Kind.GROUP_COORDINATOR, Kind.LEADER, Kind.MAJORITY),
    }
)


@dataclass(frozen=True)
class Strike:
    """One blow.

    Attributes:
        kind: what happens.
        after_records: answers that are awaited first, from the last recovery on.
        delay_s: waited after that, so that any moment of a batch is hit.
        parameters: of the kind, like ``{"step": "committed"}``.
    """

    kind: Kind
    after_records: int
    delay_s: float
    parameters: Parameters = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Kind and its most telling parameter, for tables."""
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
    """A part of a campaign with brokers, topics and one set-up of its own.

    Attributes:
        backend: that scores.
        is_cluster: whether executors are processes of their own.
        records: sent in this leg at least.
        strikes: in their order.
        site: where it takes place.
    """

    backend: str
    is_cluster: bool
    records: int
    strikes: Sequence[Strike]
    site: Site = Site.ONE

    @property
    def setup(self) -> str:
        """What scores, and whether on a cluster, for messages and tables."""
        where = "cluster" if self.is_cluster else "local"
        return f"{self.backend}, {where}"


@dataclass(frozen=True)
class Schedule:
    """A whole campaign.

    Attributes:
        seed: that it was made from.
        legs: in their order.
    """

    seed: int
    legs: Sequence[Leg]

    @property
    def kills(self) -> int:
        """Strikes that kill something."""
        return sum(strike.kind in KILLS for leg in self.legs for strike in leg.strikes)

    @property
    def records(self) -> int:
        """Sent in all legs at least."""
        return sum(leg.records for leg in self.legs)

    def to_json(self) -> str:
        """Write it, to be replayed or changed by hand."""
        return json.dumps(asdict(self), indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Schedule:
        """Read it.

        Raises:
            ValueError: it has other fields, or names an unknown kind.
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
