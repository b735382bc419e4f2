"""Strike connections between the job and the brokers, and between brokers."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import Any

import psutil

from tests.crash.arena import Arena
from tests.crash.network import Member
from tests.crash.proxy import Action, Interference
from tests.crash.schedule import REQUESTS
from tests.crash.strikes.asking import NotPossibleError
from tests.crash.strikes.processes import choose, kill_process, replace_zombie
from tests.crash.supervisor import list_below

_DEATH_TIMEOUT_S = 60.0
# Every batch sends requests of all kinds except one, which only a new producer sends.
_REQUEST_TIMEOUT_S = 30.0


def strike_connections(arena: Arena, parameters: Mapping[str, Any]) -> None:
    proxy = arena.ground.proxy
    if parameters["mode"] == "refuse":
        proxy.refuse()
    else:
        proxy.hold()
    try:
        # The supervisor goes on: a job that ends meanwhile is started again, in vain.
        arena.wait_for(lambda: False, parameters["duration_s"])
    finally:
        arena.mark()
        proxy.calm()


def strike_request(arena: Arena, parameters: Mapping[str, Any]) -> None:
    try:
        _interfere(arena, parameters)
    finally:
        arena.mark()


def strike_owner(arena: Arena, parameters: Mapping[str, Any]) -> None:
    """Hold a request and kill its sender, so that nobody gets to know the result."""
    port = _interfere(arena, parameters)
    # Spark's own sink sends from the JVM, which is the first process.
    candidates = [psutil.Process(arena.job.process.pid), *arena.job.list_below()]
    if arena.cluster is not None:
        executors = arena.cluster.list_executors()
        candidates += [it for each in executors for it in list_below(each.pid)]
    kill_process(choose([it for it in candidates if _has_port(it, port)], "its sender is gone"))
    arena.mark()


def cut_network(arena: Arena, parameters: Mapping[str, Any]) -> None:
    """Partition the network, wait, and heal it; the supervisor goes on meanwhile.

    A job that cannot reach any broker is replaced by a second job in another network; after that,
    the first job can reach the brokers again.
    """
    job, brokers = arena.ground.jobs[0], arena.ground.brokers
    if parameters["who"] == "job from all":
        job.set_link("down")
        arena.supervisor.launcher = arena.ground.move_job().launcher
        replace_zombie(arena, parameters, lambda: job.set_link("up"))
        return
    one, *others = random.sample(brokers, len(brokers))
    with ExitStack() as healing:
        healing.callback(arena.mark)
        match parameters["who"]:
            case "job from a broker":
                _part(job, [one], parameters, healing)
            case "broker from brokers":
                _part(one, others, parameters, healing)
            case "broker from all":
                one.set_link("down")
                healing.callback(one.set_link, "up")
        if parameters["is_killed"]:
            arena.job.kill()
        arena.wait_for(lambda: False, parameters["duration_s"])


def _part(
    member: Member, others: list[Member], parameters: Mapping[str, Any], healing: ExitStack
) -> None:
    """Stop what goes from a member to the others, from them to it, or both."""
    ways: list[tuple[Member, Member]] = []
    if parameters["direction"] in ("both", "to"):
        ways += [(member, other) for other in others]
    if parameters["direction"] in ("both", "from"):
        ways += [(other, member) for other in others]
    for source, target in ways:
        stop, heal = _choose_means(source, parameters["means"])
        stop(target)
        healing.callback(heal, target)


def _choose_means(
    source: Member, means: str
) -> tuple[Callable[[Member], None], Callable[[Member], None]]:
    if means == "silence":
        return source.silence, source.unsilence
    return source.blackhole, source.unblackhole


def _interfere(arena: Arena, parameters: Mapping[str, Any]) -> int:
    """Interfere with the next request of a kind, and return its client's port.

    Raises:
        NotPossibleError: no such request came.
    """
    proxy = arena.ground.proxy
    before = len(proxy.interfered)
    interference = Interference(
        REQUESTS[parameters["request"]], Action(parameters["action"]), parameters["duration_s"]
    )
    proxy.interfere(interference)
    timeout_s = _REQUEST_TIMEOUT_S
    if parameters["request"] == "InitProducerId":  # only a new producer sends this request
        arena.job.kill()
        timeout_s = _DEATH_TIMEOUT_S
    has_met = arena.wait_for(lambda: len(proxy.interfered) > before, timeout_s)
    proxy.calm()
    if not has_met:
        raise NotPossibleError(f"no request {parameters['request']} came")
    return proxy.interfered[-1]


def _has_port(process: psutil.Process, port: int) -> bool:
    try:
        return any(getattr(it.laddr, "port", None) == port for it in process.net_connections("tcp"))
    except psutil.Error:
        return False
