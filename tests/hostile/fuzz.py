"""Fuzz the job once: send hostile records, run the real job, and check every answer."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from statistics import median

from tests.end_to_end.jobs import Deployment, start_job
from tests.endurance.processes import FamilyWatch, Role, Weight
from tests.hostile.account import HostileAccount
from tests.hostile.traffic import read_answers, send_hostile

PARTITIONS = 4
_LOOK_INTERVAL_S = 1.0
# In a shorter run most growth comes from the start: workers are forked, libraries imported.
_LEAST_LOOKS = 300
#: Processes of a role may grow by this much between the first and the last third of a run.
MAX_GROWTH_BYTES: Mapping[Role, int] = {
    Role.DRIVER: 150 * 2**20,
    Role.WORKERS: 150 * 2**20,
}
#: The JVM grows until its heap is full; it may hold no more than heap, code and buffers.
MAX_PEAK_BYTES: Mapping[Role, int] = {Role.JVM: 4 * 2**30}


@dataclass(frozen=True)
class Run:
    """The results of one run.

    Attributes:
        backend: backend that scored.
        account: account of all records.
        value_bytes: size of all values together.
        exit_code: exit code of the job; 0 where nothing stopped it.
        errors: end of what the job printed, if it failed.
        job_s: seconds from the job's start to its end.
        weights: role → resources of the job's processes, in the order of the measurements.
    """

    backend: str
    account: HostileAccount
    value_bytes: int
    exit_code: int
    errors: str
    job_s: float
    weights: Mapping[Role, list[Weight]] = field(repr=False)

    @property
    def failures(self) -> list[str]:
        """Everything that is not as promised; empty for a good run."""
        found = [f"{count} x {fault}" for fault, count in self.account.faults.items()]
        if self.exit_code != 0:
            found.append(f"the job ended with {self.exit_code}")
        return [*found, *judge_memory(self.weights)]


def judge_memory(weights: Mapping[Role, list[Weight]]) -> list[str]:
    """Return what is wrong with the memory of a run; nothing where it stayed within its bounds."""
    found = []
    for role, bound in MAX_PEAK_BYTES.items():
        peak = max((weight.rss_bytes for weight in weights.get(role, ())), default=0)
        if peak > bound:
            found.append(f"the {role} held {peak / 2**20:.0f} MiB, more than {bound / 2**20:.0f}")
    for role, bound in MAX_GROWTH_BYTES.items():
        growth = measure_growth(weights.get(role, []))
        if growth is not None and growth > bound:
            found.append(f"the {role} grew by {growth / 2**20:.0f} MiB")
    return found


def measure_growth(weights: list[Weight]) -> float | None:
    """Return how many bytes the last third of a run holds more than the first third.

    The start of the run is left out. The result is None for a run that is too short to tell.
    """
    if len(weights) < _LEAST_LOOKS:
        return None
    warm = weights[len(weights) // 10 :]
    third = len(warm) // 3
    first, last = warm[:third], warm[-third:]
    return median(w.rss_bytes for w in last) - median(w.rss_bytes for w in first)


def run_fuzz(
    deployment: Deployment,
    backend: str,
    numbers: range,
    *,
    seed: int,
    batch_records: int,
    timeout_s: float,
    tell: Callable[[str], None] = lambda line: None,
) -> Run:
    """Send hostile records, let the job drain them, and compare every answer with its record.

    Args:
        deployment: deployment with new topics; the input has :data:`PARTITIONS` partitions.
        backend: backend that scores.
        numbers: numbers of the records.
        seed: seed of the records.
        batch_records: number of records in the largest batch.
        timeout_s: time after which the job is killed.
        tell: function that prints a line about the progress.
    """
    account = HostileAccount(seed, numbers, PARTITIONS)
    tell(f"{backend}: sending {len(numbers):,} records")
    size = send_hostile(deployment.bootstrap_servers, deployment.input_topic, account)
    tell(f"{backend}: scoring {size / 2**20:,.0f} MiB")
    arguments = deployment.arguments(backend=backend, max_offsets_per_trigger=batch_records)
    started_s = time.monotonic()
    with (
        start_job(arguments) as process,
        FamilyWatch(process.pid, _LOOK_INTERVAL_S) as watch,
    ):
        printed = _wait(process, timeout_s)
    watch.check()
    job_s = time.monotonic() - started_s
    tell(f"{backend}: checking the answers")
    servers = deployment.bootstrap_servers
    read_answers(servers, deployment.output_topic, deployment.dead_letter_topic, account)
    errors = "" if process.returncode == 0 else printed[-4_000:]
    return Run(backend, account, size, process.returncode, errors, job_s, watch.weights)


def _wait(process: subprocess.Popen[str], timeout_s: float) -> str:
    """Return what the job printed until its end, or until its time was up."""
    try:
        output, errors = process.communicate(timeout=timeout_s)
    except subprocess.TimeoutExpired:
        process.kill()
        output, errors = process.communicate()
        errors += f"\nkilled after {timeout_s:.0f} s"
    return output + errors
