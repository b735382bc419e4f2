"""How each kind of strike is carried out. Each one marks the moment from which recovery counts."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import Any

import psutil
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka.cimpl import NewPartitions

from tests.crash.arena import INPUT, QUERY, Arena, LaboratoryError
from tests.crash.proxy import Action, Interference
from tests.crash.schedule import REQUESTS, Kind, Strike

# Steps that only a start comes by.
_START_STEPS = ("opening", "initialised")
# Where tasks commit, a driver sends offsets only when it claims the group.
_START_STEPS_ABOVE_TASKS = (*_START_STEPS, "offsets_sent")
_DEATH_TIMEOUT_S = 60.0
# A zombie must have noticed by then that it was replaced; a request to a broker may take 60 s.
_ZOMBIE_TIMEOUT_S = 100.0
_RECOVERY_TIMEOUT_S = 240.0
# Every batch sends all of them, but for the one that only a new producer sends.
_REQUEST_TIMEOUT_S = 30.0
_ADMIN_TIMEOUT_S = 30.0
_ADMIN_ATTEMPTS = 3


class NotPossibleError(Exception):
    """There is nothing to strike, like a worker that has not been started yet."""


def strike_driver(arena: Arena, parameters: Mapping[str, Any]) -> None:
    arena.job.kill()
    arena.mark()


def strike_jvm(arena: Arena, parameters: Mapping[str, Any]) -> None:
    """Its Python goes by itself, when its connection ends: before the next one may matter."""
    _kill(psutil.Process(arena.job.process.pid))
    arena.mark()
    arena.job.process.wait()


def strike_python(arena: Arena, parameters: Mapping[str, Any]) -> None:
    python = arena.job.find_python()
    if python is None:
        raise NotPossibleError("the driver has no Python yet")
    _kill(python)
    arena.mark()
    _await_death(arena)


def strike_worker(arena: Arena, parameters: Mapping[str, Any]) -> None:
    workers = arena.job.find_workers()
    if arena.cluster is not None:
        workers = [
            child
            for executor in arena.cluster.list_executors()
            for child in _children(executor)
            if _is_worker(child)
        ]
    _kill(_choose(workers, "no Python worker runs"))
    arena.mark()


def strike_executor(arena: Arena, parameters: Mapping[str, Any]) -> None:
    assert arena.cluster is not None, "executors are processes on a cluster only"
    _kill(_choose(arena.cluster.list_executors(), "no executor runs"))
    arena.mark()


def strike_broker(arena: Arena, parameters: Mapping[str, Any]) -> None:
    arena.broker.kill()
    arena.mark()
    time.sleep(parameters["down_s"])
    arena.broker.restart()


def strike_step(arena: Arena, parameters: Mapping[str, Any]) -> None:
    """The job kills itself; steps of a start are reached after one more kill."""
    step, times = parameters["step"], int(parameters["times"])
    is_by_tasks = arena.setup.job_options.get("commit") == "executor"
    if step in (_START_STEPS_ABOVE_TASKS if is_by_tasks else _START_STEPS):
        arena.supervisor.order_death_of_next(step, 1)
        arena.job.kill()
        arena.supervisor.tend()
    else:
        arena.job.order_death(step, times)
    _await_death(arena)
    arena.mark()


def strike_start(arena: Arena, parameters: Mapping[str, Any]) -> None:
    arena.job.kill()
    arena.supervisor.tend()
    time.sleep(parameters["after_s"])
    arena.job.kill()
    arena.mark()


def strike_with_zombie(arena: Arena, parameters: Mapping[str, Any]) -> None:
    """Stop the job, let a second one take over, continue the first: it must end by itself."""
    zombie = arena.job
    zombie.signal_group(signal.SIGSTOP)
    watch = arena.mark()
    try:
        if not parameters["is_checkpoint_shared"]:
            arena.move_checkpoint()
        arena.supervisor.start()
        if not arena.wait_for(lambda: watch.first_s is not None, _RECOVERY_TIMEOUT_S):
            raise LaboratoryError(f"nobody took over; the log:\n{arena.job.read_log_tail()}")
    finally:
        zombie.signal_group(signal.SIGCONT)
    if not arena.wait_for(lambda: not zombie.is_running, _ZOMBIE_TIMEOUT_S):
        zombie.kill()
        raise LaboratoryError(f"the zombie lived on; its log:\n{zombie.read_log_tail()}")
    if zombie.process.returncode == 0:
        raise LaboratoryError("the zombie ended as if all were well")


def strike_checkpoint(arena: Arena, parameters: Mapping[str, Any]) -> None:
    arena.job.kill()
    arena.mark()
    arena.renew_checkpoint()


def strike_promotion(arena: Arena, parameters: Mapping[str, Any]) -> None:
    arena.promote_other_model()
    arena.job.kill()
    arena.mark()


def strike_connections(arena: Arena, parameters: Mapping[str, Any]) -> None:
    if parameters["mode"] == "refuse":
        arena.proxy.refuse()
    else:
        arena.proxy.hold()
    try:
        # The supervisor goes on: a job that ends meanwhile is started again, in vain.
        arena.wait_for(lambda: False, parameters["duration_s"])
    finally:
        arena.mark()
        arena.proxy.calm()


def strike_request(arena: Arena, parameters: Mapping[str, Any]) -> None:
    try:
        _interfere(arena, parameters)
    finally:
        arena.mark()


def strike_owner(arena: Arena, parameters: Mapping[str, Any]) -> None:
    """Hold a request, and kill who sent it: nobody will hear what became of it."""
    port = _interfere(arena, parameters)
    candidates = arena.job.list_below()
    if arena.cluster is not None:
        candidates += [it for each in arena.cluster.list_executors() for it in _children(each)]
    _kill(_choose([it for it in candidates if _has_port(it, port)], "its sender is gone"))
    arena.mark()


def strike_offsets(arena: Arena, parameters: Mapping[str, Any]) -> None:
    """Possible, since the group has no members; the next commit restores them."""
    _ask(
        arena,
        lambda: arena.admin.delete_consumer_groups([QUERY], request_timeout=_ADMIN_TIMEOUT_S),
        done=KafkaError.GROUP_ID_NOT_FOUND,
    )
    watch = arena.mark()
    arena.wait_for(lambda: watch.first_s is not None, _RECOVERY_TIMEOUT_S)
    if not arena.wait_for(lambda: _count_commits(arena) == arena.partitions, _RECOVERY_TIMEOUT_S):
        raise LaboratoryError("the group's offsets were not restored")


def _ask(arena: Arena, request: Callable[[], Mapping[Any, Future[Any]]], *, done: int) -> None:
    """Have the broker do something; by a new client where the old one got no answer.

    Args:
        arena: holds the client.
        request: by that client.
        done: the error that says that an attempt without an answer had worked.
    """
    for attempt in range(1, _ADMIN_ATTEMPTS + 1):
        try:
            for future in request().values():
                future.result()
            return
        except KafkaException as failure:
            code = failure.args[0].code()
            if attempt > 1 and code == done:
                return
            if code != KafkaError._TIMED_OUT or attempt == _ADMIN_ATTEMPTS:
                raise
            arena.renew_admin()


def add_partition(arena: Arena, parameters: Mapping[str, Any]) -> None:
    arena.partitions += 1
    wanted = [NewPartitions(INPUT, arena.partitions)]
    _ask(
        arena,
        lambda: arena.admin.create_partitions(wanted, request_timeout=_ADMIN_TIMEOUT_S),
        done=KafkaError.INVALID_PARTITIONS,
    )
    arena.load.add_partition()
    arena.mark()


STRIKES: Mapping[Kind, Callable[[Arena, Mapping[str, Any]], None]] = {
    Kind.DRIVER: strike_driver,
    Kind.JVM: strike_jvm,
    Kind.PYTHON: strike_python,
    Kind.WORKER: strike_worker,
    Kind.EXECUTOR: strike_executor,
    Kind.BROKER: strike_broker,
    Kind.OWNER: strike_owner,
    Kind.STEP: strike_step,
    Kind.START: strike_start,
    Kind.ZOMBIE: strike_with_zombie,
    Kind.CHECKPOINT: strike_checkpoint,
    Kind.PROMOTION: strike_promotion,
    Kind.UNREACHABLE: strike_connections,
    Kind.REQUEST: strike_request,
    Kind.OFFSETS: strike_offsets,
    Kind.PARTITION: add_partition,
}


def carry_out(arena: Arena, strike: Strike) -> None:
    """Do it.

    Raises:
        NotPossibleError: there was nothing to strike.
        LaboratoryError: something that must happen did not.
    """
    STRIKES[strike.kind](arena, strike.parameters)


def _interfere(arena: Arena, parameters: Mapping[str, Any]) -> int:
    """Interfere with the next request of a kind; return its client's port.

    Raises:
        NotPossibleError: none came.
    """
    before = len(arena.proxy.interfered)
    interference = Interference(
        REQUESTS[parameters["request"]], Action(parameters["action"]), parameters["duration_s"]
    )
    arena.proxy.interfere(interference)
    timeout_s = _REQUEST_TIMEOUT_S
    if parameters["request"] == "InitProducerId":  # only a new producer asks for it
        arena.job.kill()
        timeout_s = _DEATH_TIMEOUT_S
    has_met = arena.wait_for(lambda: len(arena.proxy.interfered) > before, timeout_s)
    arena.proxy.calm()
    if not has_met:
        raise NotPossibleError(f"no request {parameters['request']} came")
    return arena.proxy.interfered[-1]


def _has_port(process: psutil.Process, port: int) -> bool:
    try:
        return any(getattr(it.laddr, "port", None) == port for it in process.net_connections("tcp"))
    except psutil.Error:
        return False


def _kill(process: psutil.Process) -> None:
    try:
        process.kill()
    except psutil.NoSuchProcess as error:
        raise NotPossibleError("it ended by itself just before") from error


def _choose(processes: list[psutil.Process], nothing: str) -> psutil.Process:
    if not processes:
        raise NotPossibleError(nothing)
    return random.choice(processes)


def _children(process: psutil.Process) -> list[psutil.Process]:
    try:
        return process.children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def _is_worker(process: psutil.Process) -> bool:
    try:
        parent = process.parent()
        return parent is not None and "pyspark.daemon" in parent.cmdline()
    except psutil.Error:
        return False


def _await_death(arena: Arena) -> None:
    job = arena.job
    if not arena.wait_for(lambda: not job.is_running, _DEATH_TIMEOUT_S, restarts=False):
        job.kill()  # what it was ordered to die at did not come
        raise NotPossibleError("the job did not die by itself")


def _count_commits(arena: Arena) -> int:
    consumer = Consumer(
        {
            "bootstrap.servers": arena.broker.bootstrap_servers,
            "group.id": QUERY,
            "enable.auto.commit": False,
            "log_level": 0,
        }
    )
    asked = [TopicPartition(INPUT, number) for number in range(arena.partitions)]
    try:
        return sum(it.offset >= 0 for it in consumer.committed(asked, timeout=_ADMIN_TIMEOUT_S))
    finally:
        consumer.close()
