"""The short form of the laboratory: every kind of strike that takes no minutes, once."""

from __future__ import annotations

from collections.abc import Sequence

from tests.crash.schedule import Kind, Leg, Schedule, Site, Strike

# What is between two strikes: more than a batch, so that they come at any moment of one.
_APART = 700
_ANY: Sequence[Strike] = (
    Strike(Kind.WORKER, _APART, 0.1),
    Strike(Kind.DRIVER, _APART, 0.2),
    Strike(Kind.STEP, _APART, 0.0, {"step": "offsets_sent", "times": 2}),
    Strike(Kind.STEP, _APART, 0.0, {"step": "committed", "times": 1}),
    Strike(Kind.STEP, _APART, 0.0, {"step": "initialised", "times": 1}),
    Strike(
        Kind.REQUEST,
        *(_APART, 0.0),
        {"request": "EndTxn", "action": "lose response", "duration_s": 0.0},
    ),
    Strike(Kind.REQUEST, _APART, 0.0, {"request": "EndTxn", "action": "hold", "duration_s": 3.0}),
    Strike(Kind.REQUEST, _APART, 0.0, {"request": "EndTxn", "action": "stray", "duration_s": 1.5}),
    Strike(Kind.OFFSETS, _APART, 0.0),
    Strike(Kind.PARTITION, _APART, 0.0),
    Strike(Kind.JVM, _APART, 0.3),
    Strike(Kind.BROKER, _APART, 0.1, {"down_s": 0.5}),
    Strike(Kind.UNREACHABLE, _APART, 0.0, {"mode": "refuse", "duration_s": 5.0}),
    Strike(Kind.PYTHON, _APART, 0.1),
    Strike(Kind.START, _APART, 0.0, {"after_s": 3.0}),
    Strike(Kind.ZOMBIE, _APART, 0.1, {"is_checkpoint_shared": True}),
    Strike(Kind.CHECKPOINT, _APART, 0.2),
    Strike(Kind.TRANSACTIONS, _APART, 0.0, {"open_s": 3.0, "is_aborted": True}),
    Strike(Kind.COMMIT, _APART, 0.1),
    Strike(Kind.COMMIT, _APART, 0.1),
    Strike(Kind.PROMOTION, _APART, 0.1),
)
_ON_CLUSTER: Sequence[Strike] = (
    Strike(Kind.EXECUTOR, _APART, 0.1),
    Strike(Kind.OWNER, _APART, 0.0, {"request": "EndTxn", "action": "hold", "duration_s": 1.5}),
    Strike(Kind.WORKER, _APART, 0.1),
    Strike(Kind.OFFSETS, _APART, 0.0),
    Strike(Kind.DRIVER, _APART, 0.1),
)
_ON_THREE: Sequence[Strike] = (
    Strike(Kind.TRANSACTION_COORDINATOR, _APART, 0.1, {"down_s": 1.0}),
    Strike(Kind.GROUP_COORDINATOR, _APART, 0.1, {"down_s": 0.0}),
    Strike(Kind.LEADER, _APART, 0.1, {"down_s": 1.0}),
    Strike(Kind.ROLLING, _APART, 0.0),
    Strike(Kind.MAJORITY, _APART, 0.0, {"down_s": 12.0}),
)
_BELOW_DRIVER = [it for it in _ON_CLUSTER if it.kind in (Kind.EXECUTOR, Kind.WORKER)]
# Messages of Spark's own sink can be read before Spark notes the batch as done.
_DRIVER_KILLS: Sequence[Strike] = tuple(Strike(Kind.DRIVER, 200, 0.0) for _ in range(3))

#: Every kind but that which needs executors.
ANY = Leg("onnx", False, 30_000, _ANY)
#: What only a cluster of brokers can lose.
ON_THREE = Leg("sql", False, 5_000, _ON_THREE, Site.THREE)
#: Executors as processes of their own, which commit.
ON_CLUSTER = Leg("sklearn", True, 7_000, _ON_CLUSTER)
#: The same where the driver commits: what strikes it is in ``ANY``.
BELOW_DRIVER = Leg("sklearn", True, 4_000, _BELOW_DRIVER)
#: For the negative control.
DRIVER_KILLS = Leg("spark", False, 8_000, _DRIVER_KILLS)

SHORT = Schedule(0, (ANY, ON_CLUSTER, ON_THREE))
