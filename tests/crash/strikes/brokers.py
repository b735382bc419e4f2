"""Strike brokers: kill and restart a single one, or more of them."""

from __future__ import annotations

import random
import time
from collections.abc import Mapping
from typing import Any

from lib.exactly_once.commit.partition_writers import settings_of_partition
from lib.exactly_once.transaction.settings import TransactionSettings
from tests.crash.arena import INPUT, OUTPUT, QUERY, Arena, LaboratoryError
from tests.crash.strikes.asking import (
    ADMIN_TIMEOUT_S,
    NotPossibleError,
    ask,
    describe_cluster,
)

_TRANSACTIONS = "__transaction_state"
_IN_SYNC_TIMEOUT_S = 120.0
# Requests that were under way when the brokers died have arrived after this time.
_LAST_ANSWERS_S = 5.0
_POLL_S = 0.2


def strike_broker(arena: Arena, parameters: Mapping[str, Any]) -> None:
    _kill_for_a_while(arena, random.choice(arena.ground.broker.node_ids), parameters["down_s"])


def strike_transaction_coordinator(arena: Arena, parameters: Mapping[str, Any]) -> None:
    """Kill the broker that coordinates the job's transactions.

    That broker leads the partition of Kafka's internal topic to which the transactional id belongs.
    """
    transactional_id = QUERY
    if arena.is_by_tasks:
        settings = settings_of_partition(TransactionSettings("", QUERY, INPUT), 0)
        transactional_id = settings.transactional_id or QUERY
    partitions = describe_cluster(arena).topics[_TRANSACTIONS].partitions
    if not partitions:
        raise NotPossibleError(f"{_TRANSACTIONS} is not known yet")
    leader = partitions[hash_like_java(transactional_id) % len(partitions)].leader
    _kill_for_a_while(arena, leader, parameters["down_s"])


def strike_group_coordinator(arena: Arena, parameters: Mapping[str, Any]) -> None:
    found = ask(
        arena,
        lambda: arena.admin.describe_consumer_groups([QUERY], request_timeout=ADMIN_TIMEOUT_S),
    )
    _kill_for_a_while(arena, found[QUERY].coordinator.id, parameters["down_s"])


def strike_leader(arena: Arena, parameters: Mapping[str, Any]) -> None:
    """Kill the leader of a partition that is read or written all the time."""
    topics = describe_cluster(arena).topics
    partition = random.choice(list(topics[random.choice((INPUT, OUTPUT))].partitions.values()))
    _kill_for_a_while(arena, partition.leader, parameters["down_s"])


def restart_all_in_turn(arena: Arena, parameters: Mapping[str, Any]) -> None:
    """Restart each broker when all replicas are in sync again after the one before."""
    for node_id in arena.ground.broker.node_ids:
        arena.ground.broker.restart(node_id)
        arena.supervisor.tend()
        _await_in_sync(arena)
    arena.mark()


def strike_majority(arena: Arena, parameters: Mapping[str, Any]) -> None:
    """Kill all brokers but one: nothing may be acknowledged or committed until they return."""
    broker = arena.ground.broker
    survivor = random.choice(broker.node_ids)
    dead = [node_id for node_id in broker.node_ids if node_id != survivor]
    broker.kill(*dead)
    arena.wait_for(lambda: False, _LAST_ANSWERS_S)
    answered = arena.ledger.answered
    # The supervisor goes on: a job that ends meanwhile is started again, in vain.
    arena.wait_for(lambda: False, parameters["down_s"] - _LAST_ANSWERS_S)
    if arena.ledger.answered > answered:
        raise LaboratoryError("something was committed while two of three brokers were down")
    broker.restart(*dead)
    arena.mark()
    _await_in_sync(arena)


def hash_like_java(text: str) -> int:
    """Return ``String.hashCode`` without its sign, the hash by which Kafka finds a coordinator."""
    value = 0
    for character in text:
        value = (31 * value + ord(character)) & 0xFFFF_FFFF
    return value & 0x7FFF_FFFF


def _kill_for_a_while(arena: Arena, node_id: int, down_s: float) -> None:
    broker = arena.ground.broker
    if broker.pid_of(node_id) is None:
        raise NotPossibleError(f"broker {node_id} has no process, perhaps no leader is known")
    broker.kill(node_id)
    arena.mark()
    time.sleep(down_s)
    broker.restart(node_id)
    _await_in_sync(arena)


def _await_in_sync(arena: Arena) -> None:
    """Wait until each replica has all records, because otherwise the next kill might lose some."""
    deadline_s = time.monotonic() + _IN_SYNC_TIMEOUT_S
    while True:
        behind = [
            f"{name}[{partition.id}]"
            for name, topic in describe_cluster(arena).topics.items()
            for partition in topic.partitions.values()
            if len(partition.isrs) < len(partition.replicas)
        ]
        if not behind:
            return
        if time.monotonic() > deadline_s:
            raise LaboratoryError(f"replicas do not come back in sync: {', '.join(behind[:5])}")
        arena.supervisor.tend()
        time.sleep(_POLL_S)
