"""Strike while the model changes, or when the brake stops the job."""

from __future__ import annotations

import signal
from collections.abc import Mapping
from typing import Any

from lib.exit_codes import ExitCode
from tests.crash.arena import Arena, LaboratoryError
from tests.crash.strikes.asking import RECOVERY_TIMEOUT_S, NotPossibleError
from tests.crash.strikes.processes import await_death

# More broken records than the brake allows, and than one batch has.
_FLOOD_RECORDS = 1_300


def strike_reload(arena: Arena, parameters: Mapping[str, Any]) -> None:
    """Promote the other model while the job runs, kill the job, and see that it takes the model."""
    champion = arena.promote_other_model()
    arena.wait_for(lambda: False, parameters["after_s"])
    if arena.is_by_tasks:
        arena.job.kill()
    else:
        arena.job.order_death(parameters["step"], int(parameters["times"]))
        await_death(arena)
    arena.mark()
    known = arena.ledger.count_answers(champion)
    arena.load.allow(_FLOOD_RECORDS)
    if not arena.wait_for(lambda: arena.ledger.count_answers(champion) > known, RECOVERY_TIMEOUT_S):
        raise LaboratoryError(f"nobody scores with {champion}:\n{arena.job.read_log_tail()}")


def strike_with_flood(arena: Arena, parameters: Mapping[str, Any]) -> None:
    """Send a flood of broken records: the job must stop itself, and again until it may go on.

    It may be killed while it stops.
    """
    if not arena.has_brake:
        raise NotPossibleError("the job has no brake")
    arena.load.pause()
    try:
        if parameters["is_killed"]:
            arena.job.order_death("braked", 1)
        arena.load.flood(_FLOOD_RECORDS)
        expected = -signal.SIGKILL if parameters["is_killed"] else ExitCode.BRAKED
        _await_end(arena, expected)
        # A start alone is no way on.
        arena.supervisor.tend()
        _await_end(arena, ExitCode.BRAKED)
        if arena.ledger.answered == arena.ledger.expected:
            raise LaboratoryError("the flood was answered although the brake has stopped the job")
        arena.mark()
        arena.accept_dead_letters()
    finally:
        arena.load.resume()


def _await_end(arena: Arena, code: int) -> None:
    job = arena.job
    if not arena.wait_for(lambda: not job.is_running, RECOVERY_TIMEOUT_S, restarts=False):
        raise LaboratoryError(f"the brake does not stop the job:\n{job.read_log_tail()}")
    if job.process.returncode != code:
        raise LaboratoryError(
            f"the job has ended with {job.process.returncode}, expected {code}:\n"
            f"{job.read_log_tail()}"
        )
