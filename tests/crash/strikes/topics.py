"""Strike the contents of topics and the offsets of groups."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from confluent_kafka import KafkaError, TopicPartition
from confluent_kafka.admin import NewPartitions

from tests.crash.arena import INPUT, QUERY, Arena, LaboratoryError
from tests.crash.strikes.asking import (
    ADMIN_TIMEOUT_S,
    RECOVERY_TIMEOUT_S,
    ask,
    read_commits,
)
from tests.crash.strikes.processes import await_death
from tests.support.transactional_load import TransactionalLoad

_IN_TRANSACTION_RECORDS = 100
_DRAIN_TIMEOUT_S = 300.0


def strike_offsets(arena: Arena, parameters: Mapping[str, Any]) -> None:
    """Delete the offsets of the group, which has no members; the next commit restores them."""
    ask(
        arena,
        lambda: arena.admin.delete_consumer_groups([QUERY], request_timeout=ADMIN_TIMEOUT_S),
        done=KafkaError.GROUP_ID_NOT_FOUND,
    )
    watch = arena.mark()
    arena.wait_for(lambda: watch.first_s is not None, RECOVERY_TIMEOUT_S)
    if not arena.wait_for(lambda: len(read_commits(arena)) == arena.partitions, RECOVERY_TIMEOUT_S):
        raise LaboratoryError("the group's offsets were not restored")


def add_partition(arena: Arena, parameters: Mapping[str, Any]) -> None:
    arena.partitions += 1
    wanted = [NewPartitions(INPUT, arena.partitions)]
    ask(
        arena,
        lambda: arena.admin.create_partitions(wanted, request_timeout=ADMIN_TIMEOUT_S),
        done=KafkaError.INVALID_PARTITIONS,
    )
    arena.load.add_partition()
    arena.mark()


def strike_with_transactions(arena: Arena, parameters: Mapping[str, Any]) -> None:
    """Send a committed and an aborted transaction, and one that is open while the job is killed.

    Aborted records must never be answered, and nothing behind the open transaction may be answered
    before that has ended.
    """
    load = TransactionalLoad(
        arena.ground.broker.bootstrap_servers, INPUT, arena.partitions, arena.ledger
    )
    load.start()
    load.send(_IN_TRANSACTION_RECORDS, is_aborted=False)
    load.send(_IN_TRANSACTION_RECORDS, is_aborted=True)

    def kill_and_wait() -> None:
        arena.job.kill()
        arena.wait_for(lambda: False, parameters["open_s"])

    load.send(
        _IN_TRANSACTION_RECORDS, is_aborted=parameters["is_aborted"], while_open=kill_and_wait
    )
    arena.mark()


def delete_what_is_answered(arena: Arena, parameters: Mapping[str, Any]) -> None:
    """Kill the job when Kafka has a batch that Spark has not noted, and delete the batch's input.

    Where tasks commit, some tasks may have committed and others not.
    """
    if arena.is_by_tasks:
        arena.job.kill()
    else:
        arena.job.order_death("committed", 1)
        await_death(arena)
    arena.mark()
    answered = [TopicPartition(INPUT, *pair) for pair in read_commits(arena).items()]
    ask(
        arena,
        lambda: arena.admin.delete_records(answered, request_timeout=ADMIN_TIMEOUT_S),
    )


def stay_idle(arena: Arena, parameters: Mapping[str, Any]) -> None:
    """Send nothing until offsets and transactional id would have expired, and then go on."""
    ledger = arena.ledger
    arena.load.pause()
    try:
        if not arena.wait_for(lambda: ledger.answered >= ledger.expected, _DRAIN_TIMEOUT_S):
            raise LaboratoryError(f"not all is answered:\n{arena.job.read_log_tail()}")
        starts = len(arena.supervisor.launches)
        arena.wait_for(lambda: False, parameters["duration_s"])
    finally:
        arena.load.resume()
    watch = arena.mark()
    arena.wait_for(lambda: watch.first_s is not None, RECOVERY_TIMEOUT_S)
    if len(arena.supervisor.launches) > starts:
        log = arena.supervisor.launches[starts - 1].read_log_tail()
        raise LaboratoryError(f"the job has ended for being idle; its log:\n{log}")
