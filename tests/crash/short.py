"""The short form of the laboratory has every kind of strike that does not take minutes, once."""

from __future__ import annotations

from collections.abc import Sequence

from tests.crash.schedule import Kind, Leg, Schedule, Site, Strike

# This many records lie between two strikes: more than a batch, so that strikes come at any moment.
_APART = 700
# ``test_kill.py`` checks Kafka and Spark right after the kill at a step.
_ANY: Sequence[Strike] = (
    Strike(Kind.WORKER, _APART, 0.1),
    Strike(Kind.DRIVER, _APART, 0.2),
    Strike(Kind.STEP, _APART, 0.0, {"step": "committed", "times": 1}),
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
    Strike(Kind.PROMOTION, _APART, 0.1),
    Strike(Kind.RELOAD, _APART, 0.0, {"after_s": 1.0, "step": "offsets_sent", "times": 1}),
    Strike(Kind.BRAKE, _APART, 0.0, {"is_killed": True}),
)
_ON_CLUSTER: Sequence[Strike] = (
    # In this part the driver commits.
    Strike(Kind.EXECUTOR, _APART, 0.1),
    Strike(Kind.WORKER, _APART, 0.1),
    Strike(Kind.COMMIT, _APART, 0.1),
    # In this part the executors commit.
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
    Strike(Kind.MAJORITY, _APART, 0.0, {"down_s": 8.0}),
)
# A request that is under way when its sender dies still arrives. Spark has not noted the batch, so
# it repeats it.
_SENDER_KILLED: Sequence[Strike] = (
    Strike(Kind.OWNER, 200, 0.0, {"request": "Produce", "action": "hold", "duration_s": 1.5}),
)

#: Every kind of strike except those that need executors or more brokers.
ANY = Leg("onnx", False, 17_000, _ANY, has_rivals=True)
#: Strikes that only a cluster of brokers can suffer.
ON_THREE = Leg("sql", False, 5_000, _ON_THREE, Site.THREE)
#: Executors are separate processes; first the driver commits, then the executors do.
ON_CLUSTER = Leg("sklearn", True, 7_000, _ON_CLUSTER)
#: The negative control.
SENDER_KILLED = Leg("spark", False, 3_000, _SENDER_KILLED)

SHORT = Schedule(0, (ANY, ON_CLUSTER, ON_THREE))
