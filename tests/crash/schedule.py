"""What will be done to the job, and when: data, made from a seed, written as JSON. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from random import Random
from typing import Any

# A step of a transaction: see ``lib.sinks.session`` and ``lib.sinks.transaction``.
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


class Kind(StrEnum):
    """What happens. The first part kills processes, the second one disturbs."""

    DRIVER = "driver"  # the whole process group
    JVM = "jvm"  # the driver's JVM alone
    PYTHON = "python"  # the driver's Python alone
    WORKER = "worker"  # a Python worker that scores
    EXECUTOR = "executor"
    BROKER = "broker"  # killed and restarted
    OWNER = "owner"  # the process whose request to the broker is under way
    STEP = "step"  # the driver dies at a step of a transaction
    START = "start"  # killed while it starts
    ZOMBIE = "zombie"  # stopped; a second one takes over; then continued
    CHECKPOINT = "checkpoint"  # the driver is killed, its checkpoint deleted
    PROMOTION = "promotion"  # another model becomes the champion, the driver is killed

    UNREACHABLE = "unreachable"  # no connection to the broker for a while
    REQUEST = "request"  # a proxy delays, holds, strays or loses a request or its response
    OFFSETS = "offsets"  # the group's offsets are deleted while the job runs
    PARTITION = "partition"  # the input topic gets one more


KILLS = frozenset(
    {
        *(Kind.DRIVER, Kind.JVM, Kind.PYTHON, Kind.WORKER, Kind.EXECUTOR, Kind.BROKER),
        *(Kind.OWNER, Kind.STEP, Kind.START, Kind.ZOMBIE, Kind.CHECKPOINT, Kind.PROMOTION),
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
        return str(self.kind)


@dataclass(frozen=True)
class Leg:
    """A part of a campaign with a broker, topics and one set-up of its own.

    Attributes:
        backend: that scores.
        is_cluster: whether executors are processes of their own.
        records: sent in this leg at least.
        strikes: in their order.
    """

    backend: str
    is_cluster: bool
    records: int
    strikes: Sequence[Strike]


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
    return Leg(**{**fields, "strikes": strikes})


# Kind → how often it comes in relation to the others, where its leg allows it.
WEIGHTS: Mapping[Kind, int] = {
    Kind.DRIVER: 20,
    Kind.JVM: 8,
    Kind.PYTHON: 6,
    Kind.WORKER: 12,
    Kind.EXECUTOR: 12,
    Kind.BROKER: 8,
    Kind.OWNER: 12,
    Kind.STEP: 24,
    Kind.START: 10,
    Kind.ZOMBIE: 6,
    Kind.CHECKPOINT: 5,
    Kind.PROMOTION: 3,
    Kind.REQUEST: 14,
    Kind.OFFSETS: 4,
    Kind.PARTITION: 3,
}
KILLS_PER_LEG = 20
# Of ten legs, in turn: (backend, whether on a cluster).
_SETUPS = (
    *(("sql", False), ("onnx", False), ("sklearn", True), ("spark", False)),
    *(("onnx", False), ("sql", True), ("sklearn", False), ("spark", False)),
    *(("onnx", False), ("sql", False)),
)
_IN_WORKERS = ("sklearn", "onnx")


def build_schedule(
    seed: int, *, kills: int, records: int, unreachable_s: float = 60.0, is_cluster: bool = False
) -> Schedule:
    """Make a campaign.

    Args:
        seed: the same one gives the same campaign.
        kills: at least so many.
        records: at least so many.
        unreachable_s: how long the broker is out of reach, once in every second leg.
        is_cluster: whether all legs run on a cluster, not only some.
    """
    random = Random(seed)
    count = -(-kills // KILLS_PER_LEG)
    legs = []
    for number in range(count):
        backend, on_cluster = _SETUPS[number % len(_SETUPS)]
        wanted = min(KILLS_PER_LEG, kills - number * KILLS_PER_LEG)
        leg_records = -(-records // count)
        kinds = list(_draw_kinds(random, wanted, backend, on_cluster or is_cluster))
        if number % 2:
            kinds.insert(random.randrange(1, len(kinds) + 1), Kind.UNREACHABLE)
        share = leg_records / len(kinds)
        strikes = tuple(
            Strike(
                kind,
                after_records=int(share * random.uniform(0.1, 1.7)),
                delay_s=round(random.uniform(0.0, 0.5), 3),
                parameters=_draw_parameters(random, kind, unreachable_s),
            )
            for kind in kinds
        )
        legs.append(Leg(backend, on_cluster or is_cluster, leg_records, strikes))
    return Schedule(seed, tuple(legs))


def _draw_kinds(random: Random, kills: int, backend: str, is_cluster: bool) -> Sequence[Kind]:
    possible = [
        kind
        for kind in WEIGHTS
        if (kind is not Kind.WORKER or backend in _IN_WORKERS)
        and (kind is not Kind.EXECUTOR or is_cluster)
    ]
    kinds: list[Kind] = []
    while sum(kind in KILLS for kind in kinds) < kills:
        kinds += random.choices(possible, [WEIGHTS[kind] for kind in possible])
    return kinds


def _draw_parameters(random: Random, kind: Kind, unreachable_s: float) -> Parameters:
    match kind:
        case Kind.STEP:
            # Those within a transaction come at any batch; the first two at a start only.
            return {"step": random.choice(STEPS), "times": random.randint(1, 3)}
        case Kind.START:
            return {"after_s": round(random.uniform(0.2, 6.0), 2)}
        case Kind.ZOMBIE:
            return {"is_checkpoint_shared": random.random() < 0.5}
        case Kind.BROKER:
            return {"down_s": round(random.uniform(0.0, 5.0), 1)}
        case Kind.UNREACHABLE:
            return {"mode": random.choice(("refuse", "hold")), "duration_s": unreachable_s}
        case Kind.OWNER:
            request = random.choice(("EndTxn", "EndTxn", "TxnOffsetCommit", "Produce"))
            # It reaches the broker when its sender is dead.
            return {"request": request, "action": "hold", "duration_s": 1.5}
        case Kind.REQUEST:
            # EndTxn decides; it comes as often as all others together.
            request = random.choice(("EndTxn", random.choice(tuple(REQUESTS))))
            action = random.choice(("delay", "hold", "lose request", "lose response", "stray"))
            return {
                "request": request,
                "action": action,
                "duration_s": 25.0 if action == "hold" else round(random.uniform(0.5, 4.0), 1),
            }
    return {}
