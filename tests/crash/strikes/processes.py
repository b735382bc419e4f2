"""Strike the job's own processes."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable, Mapping
from typing import Any

import psutil

from tests.crash.arena import Arena, LaboratoryError
from tests.crash.strikes.asking import RECOVERY_TIMEOUT_S, NotPossibleError
from tests.crash.supervisor import choose_workers, list_below

# Only a start has these steps.
_START_STEPS = ("opening", "initialised")
# If tasks commit, a driver sends offsets only when it claims the group.
_START_STEPS_ABOVE_TASKS = (*_START_STEPS, "offsets_sent")
# At this step of a start, the job has taken the query over from the run before it.
_CLAIMED = "committed-1"
_DEATH_TIMEOUT_S = 60.0
# Within this time a zombie must have noticed that it was replaced; a request to a broker may take
# 60 s.
_ZOMBIE_TIMEOUT_S = 100.0


def strike_driver(arena: Arena, parameters: Mapping[str, Any]) -> None:
    arena.job.kill()
    arena.mark()


def strike_jvm(arena: Arena, parameters: Mapping[str, Any]) -> None:
    """Kill the driver's JVM; the driver's Python ends by itself when it loses the connection."""
    kill_process(psutil.Process(arena.job.process.pid))
    arena.mark()
    arena.job.process.wait()


def strike_python(arena: Arena, parameters: Mapping[str, Any]) -> None:
    python = arena.job.find_python()
    if python is None:
        raise NotPossibleError("the driver has no Python yet")
    kill_process(python)
    arena.mark()
    await_death(arena)


def strike_worker(arena: Arena, parameters: Mapping[str, Any]) -> None:
    workers = arena.job.find_workers()
    if arena.cluster is not None:
        executors = arena.cluster.list_executors()
        workers = [it for executor in executors for it in choose_workers(list_below(executor.pid))]
    kill_process(choose(workers, "no Python worker runs"))
    arena.mark()


def strike_executor(arena: Arena, parameters: Mapping[str, Any]) -> None:
    assert arena.cluster is not None, "executors are processes on a cluster only"
    kill_process(choose(arena.cluster.list_executors(), "no executor runs"))
    arena.mark()


def strike_step(arena: Arena, parameters: Mapping[str, Any]) -> None:
    """Let the job kill itself at a step; for a step of a start, kill and start it first."""
    step, times = parameters["step"], int(parameters["times"])
    start_steps = _START_STEPS_ABOVE_TASKS if arena.is_by_tasks else _START_STEPS
    if step in start_steps:
        arena.supervisor.order_death_of_next(step, 1)
        arena.job.kill()
        arena.supervisor.tend()
    elif arena.is_by_tasks:
        raise NotPossibleError("executors do not tell what they do")
    else:
        arena.job.order_death(step, times)
    await_death(arena)
    arena.mark()


def strike_start(arena: Arena, parameters: Mapping[str, Any]) -> None:
    arena.job.kill()
    arena.supervisor.tend()
    time.sleep(parameters["after_s"])
    arena.job.kill()
    arena.mark()


def strike_with_zombie(arena: Arena, parameters: Mapping[str, Any]) -> None:
    """Stop the job, let a second one take over, and wake the first, which must end by itself."""
    zombie = arena.job
    zombie.signal_group(signal.SIGSTOP)
    replace_zombie(arena, parameters, lambda: zombie.signal_group(signal.SIGCONT))


def replace_zombie(arena: Arena, parameters: Mapping[str, Any], wake: Callable[[], None]) -> None:
    """Let a second job take over from a job that does nothing, and wake the first, which must end.

    Args:
        arena: arena with a job that cannot do anything now.
        parameters: parameters of the strike, which say whether both jobs share a checkpoint.
        wake: function that lets the first job go on.
    """
    zombie = arena.job
    watch = arena.mark()
    try:
        if not parameters["is_checkpoint_shared"]:
            arena.move_checkpoint()
        arena.supervisor.start()
        has_claimed = arena.wait_for(
            lambda: _CLAIMED in arena.job.read_timeline(), RECOVERY_TIMEOUT_S
        )
        # The first job's workers were not stopped, so they may have committed answers until now.
        watch.first_s = None
        if not has_claimed or not arena.wait_for(
            lambda: watch.first_s is not None, RECOVERY_TIMEOUT_S
        ):
            raise LaboratoryError(f"nobody took over; the log:\n{arena.job.read_log_tail()}")
    finally:
        wake()
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


def strike_with_other_commit(arena: Arena, parameters: Mapping[str, Any]) -> None:
    """Kill the job and let the other side commit, driver or tasks; the checkpoint stays."""
    arena.job.kill()
    arena.mark()
    arena.change_commit()


def kill_process(process: psutil.Process) -> None:
    """Send SIGKILL to a process.

    Raises:
        NotPossibleError: the process has ended by itself.
    """
    try:
        process.kill()
    except psutil.NoSuchProcess as error:
        raise NotPossibleError("it ended by itself just before") from error


def choose(processes: list[psutil.Process], nothing: str) -> psutil.Process:
    """Choose one process at random; ``nothing`` is the message if there is none."""
    if not processes:
        raise NotPossibleError(nothing)
    return random.choice(processes)


def await_death(arena: Arena) -> None:
    """Wait for the end of a job that was ordered to die, and kill it if it does not end."""
    job = arena.job
    if not arena.wait_for(lambda: not job.is_running, _DEATH_TIMEOUT_S, restarts=False):
        job.kill()  # the step at which it was ordered to die did not come
        raise NotPossibleError("the job did not die by itself")
