"""Carry out each kind of strike, and mark the moment from which recovery counts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tests.crash.arena import Arena
from tests.crash.schedule import Kind, Strike
from tests.crash.strikes import brokers, connections, models, processes, topics
from tests.crash.strikes.asking import NotPossibleError

__all__ = ["STRIKES", "NotPossibleError", "carry_out"]

STRIKES: Mapping[Kind, Callable[[Arena, Mapping[str, Any]], None]] = {
    Kind.DRIVER: processes.strike_driver,
    Kind.JVM: processes.strike_jvm,
    Kind.PYTHON: processes.strike_python,
    Kind.WORKER: processes.strike_worker,
    Kind.EXECUTOR: processes.strike_executor,
    Kind.STEP: processes.strike_step,
    Kind.START: processes.strike_start,
    Kind.ZOMBIE: processes.strike_with_zombie,
    Kind.CHECKPOINT: processes.strike_checkpoint,
    Kind.PROMOTION: processes.strike_promotion,
    Kind.RELOAD: models.strike_reload,
    Kind.BRAKE: models.strike_with_flood,
    Kind.COMMIT: processes.strike_with_other_commit,
    Kind.BROKER: brokers.strike_broker,
    Kind.TRANSACTION_COORDINATOR: brokers.strike_transaction_coordinator,
    Kind.GROUP_COORDINATOR: brokers.strike_group_coordinator,
    Kind.LEADER: brokers.strike_leader,
    Kind.ROLLING: brokers.restart_all_in_turn,
    Kind.MAJORITY: brokers.strike_majority,
    Kind.OWNER: connections.strike_owner,
    Kind.UNREACHABLE: connections.strike_connections,
    Kind.REQUEST: connections.strike_request,
    Kind.CUT: connections.cut_network,
    Kind.TRANSACTIONS: topics.strike_with_transactions,
    Kind.RETENTION: topics.delete_what_is_answered,
    Kind.OFFSETS: topics.strike_offsets,
    Kind.PARTITION: topics.add_partition,
    Kind.IDLE: topics.stay_idle,
}


def carry_out(arena: Arena, strike: Strike) -> None:
    """Carry out a strike.

    Raises:
        NotPossibleError: there was nothing to strike.
        LaboratoryError: the job did not do what it must do after the strike.
    """
    STRIKES[strike.kind](arena, strike.parameters)
