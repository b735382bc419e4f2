"""Draw a campaign from a seed: which strikes come on which site, how often and when.

This module is pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random

from tests.crash.schedule import (
    KILLS,
    ON_THREE,
    REQUESTS,
    STEPS,
    Kind,
    Leg,
    Parameters,
    Schedule,
    Site,
    Strike,
)

# Kind → how often it comes in relation to the other kinds, where its leg allows it.
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
    Kind.RELOAD: 14,
    Kind.COMMIT: 4,
    Kind.TRANSACTIONS: 6,
    Kind.RETENTION: 5,
    Kind.REQUEST: 14,
    Kind.OFFSETS: 4,
    Kind.PARTITION: 3,
    Kind.BRAKE: 6,
    # On three brokers, these come together as often as all others, because three brokers are there
    # for them.
    Kind.TRANSACTION_COORDINATOR: 50,
    Kind.GROUP_COORDINATOR: 40,
    Kind.LEADER: 50,
    Kind.ROLLING: 12,
    Kind.MAJORITY: 10,
}
KILLS_PER_LEG = 20
# (backend, whether on a cluster, site) of ten legs in turn.
_SETUPS = (
    *(("sql", False, Site.ONE), ("onnx", False, Site.THREE), ("sklearn", True, Site.ONE)),
    *(("spark", False, Site.ONE), ("onnx", False, Site.ONE), ("sql", True, Site.THREE)),
    *(("sklearn", False, Site.ONE), ("spark", False, Site.ONE), ("onnx", False, Site.THREE)),
    ("sql", False, Site.ONE),
)
_IN_WORKERS = ("sklearn", "onnx")
# Legs with cuts or idle times take long for their few strikes, so each comes once for this many
# kills.
_KILLS_PER_ROUND = 100
_CUTS_PER_LEG = 10
CUTS = ("job from a broker", "job from all", "broker from brokers", "broker from all")
_IDLES_PER_LEG = 2
# This is the time until offsets and transactional id have expired and the broker has noticed, with
# a margin.
_IDLE_S = 110.0


def build_schedule(
    seed: int, *, kills: int, records: int, unreachable_s: float = 60.0, is_cluster: bool = False
) -> Schedule:
    """Draw a campaign.

    Args:
        seed: seed for the draw; the same seed gives the same campaign.
        kills: lowest number of kills.
        records: lowest number of records.
        unreachable_s: seconds for which the brokers are out of reach, once in every second leg, and
            for which a majority of them is down.
        is_cluster: whether all legs run on a cluster, not only some.
    """
    random = Random(seed)
    count = -(-kills // KILLS_PER_LEG)
    rounds = kills // _KILLS_PER_ROUND
    leg_records = -(-records // (count + 2 * rounds))
    legs = []
    for number in range(count):
        backend, on_cluster, site = _SETUPS[number % len(_SETUPS)]
        wanted = min(KILLS_PER_LEG, kills - number * KILLS_PER_LEG)
        kinds = _draw_kinds(random, wanted, backend, on_cluster or is_cluster, site)
        if number % 2:
            kinds.insert(random.randrange(1, len(kinds) + 1), Kind.UNREACHABLE)
        strikes = _draw_strikes(random, kinds, leg_records, unreachable_s)
        has_rivals = backend in _IN_WORKERS and number % 2 == 0
        legs.append(Leg(backend, on_cluster or is_cluster, leg_records, strikes, site, has_rivals))
    for number in range(rounds):
        backend = ("sql", "onnx")[number % 2]
        for site, kinds in (
            (Site.NETWORK, [Kind.CUT] * _CUTS_PER_LEG),
            (Site.FORGETFUL, [Kind.IDLE] * _IDLES_PER_LEG),
        ):
            strikes = _draw_strikes(random, kinds, leg_records, unreachable_s)
            legs.append(Leg(backend, False, leg_records, strikes, site))
    return Schedule(seed, tuple(legs))


def _draw_kinds(
    random: Random, kills: int, backend: str, is_cluster: bool, site: Site
) -> list[Kind]:
    possible = [
        kind
        for kind in WEIGHTS
        if (kind is not Kind.WORKER or backend in _IN_WORKERS)
        and (kind is not Kind.EXECUTOR or is_cluster)
        and (kind not in ON_THREE or site is Site.THREE)
    ]
    kinds: list[Kind] = []
    while sum(kind in KILLS for kind in kinds) < kills:
        kinds += random.choices(possible, [WEIGHTS[kind] for kind in possible])
    return kinds


def _draw_strikes(
    random: Random, kinds: Sequence[Kind], records: int, unreachable_s: float
) -> tuple[Strike, ...]:
    share = records / len(kinds)
    return tuple(
        Strike(
            kind,
            after_records=int(share * random.uniform(0.1, 1.7)),
            delay_s=round(random.uniform(0.0, 0.5), 3),
            parameters=_draw_parameters(random, kind, unreachable_s),
        )
        for kind in kinds
    )


def _draw_parameters(random: Random, kind: Kind, unreachable_s: float) -> Parameters:
    match kind:
        case Kind.STEP:
            # Every batch has the steps of a transaction; the first two steps come only at a start.
            return {"step": random.choice(STEPS), "times": random.randint(1, 3)}
        case Kind.RELOAD:
            # The job looks twice a second, and loads the model for a second or two.
            return {
                "after_s": round(random.uniform(0.0, 4.0), 2),
                "step": random.choice(STEPS[2:]),
                "times": random.randint(1, 3),
            }
        case Kind.BRAKE:
            return {"is_killed": random.random() < 0.5}
        case Kind.START:
            return {"after_s": round(random.uniform(0.2, 6.0), 2)}
        case Kind.ZOMBIE:
            return {"is_checkpoint_shared": random.random() < 0.5}
        case Kind.BROKER | Kind.TRANSACTION_COORDINATOR | Kind.GROUP_COORDINATOR | Kind.LEADER:
            return {"down_s": round(random.uniform(0.0, 5.0), 1)}
        case Kind.MAJORITY:
            return {"down_s": unreachable_s}
        case Kind.UNREACHABLE:
            return {"mode": random.choice(("refuse", "hold")), "duration_s": unreachable_s}
        case Kind.TRANSACTIONS:
            return {
                "open_s": round(random.uniform(1.0, 12.0), 1),
                "is_aborted": random.random() < 0.5,
            }
        case Kind.IDLE:
            return {"duration_s": _IDLE_S}
        case Kind.CUT:
            return _draw_cut(random)
        case Kind.OWNER | Kind.REQUEST:
            return _draw_request(random, kind)
    return {}


def _draw_cut(random: Random) -> Parameters:
    """Draw who cannot reach whom, by what means, how long, and whether the job is killed then."""
    return {
        "who": random.choice(CUTS),
        "direction": random.choice(("both", "to", "from")),
        "means": random.choice(("silence", "blackhole")),
        "duration_s": round(random.uniform(5.0, 90.0), 1),
        "is_killed": random.random() < 0.3,
        "is_checkpoint_shared": random.random() < 0.5,
    }


def _draw_request(random: Random, kind: Kind) -> Parameters:
    if kind is Kind.OWNER:
        request = random.choice(("EndTxn", "EndTxn", "TxnOffsetCommit", "Produce"))
        # The request reaches the broker after its sender has died.
        return {"request": request, "action": "hold", "duration_s": 1.5}
    # EndTxn decides about a transaction, so it comes as often as all others together.
    request = random.choice(("EndTxn", random.choice(tuple(REQUESTS))))
    action = random.choice(("delay", "hold", "lose request", "lose response", "stray"))
    return {
        "request": request,
        "action": action,
        "duration_s": 25.0 if action == "hold" else round(random.uniform(0.5, 4.0), 1),
    }
