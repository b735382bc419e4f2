"""Run two jobs of one query name, each restarted by a supervisor whatever its exit code.

Whatever supervisors do, batches are written all the time, and nothing is written twice. This
command tries it for longer than the suite does:

    .venv/bin/python -m tests.crash.rivals --seconds 180 [--shared-checkpoint] [--store FOLDER]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path

from lib.background import Background
from lib.kafka.topics import create_topics
from lib.tools.broker import EmbeddedBroker
from lib.tools.broker.guarded_folder import GuardedFolder
from tests.crash.supervisor import Supervisor
from tests.end_to_end.jobs import Deployment, read_account
from tests.support.topics import Account, Record, build_customers, produce, read_topic
from tests.support.waiting import wait_until

_RESTART_AFTER_S = 2.0
_BURST = 5
_PACE_S = 1.0


@dataclass
class Rivalry:
    """The results of two jobs that were left alone.

    Attributes:
        account: comparison of all records with their answers, after the last answer.
        waits_s: seconds between new answers that readers saw; the first is counted from the start.
        exits: exit codes of each job, in order, while the two were left alone.
    """

    account: Account
    waits_s: list[float]
    exits: list[list[int]] = field(default_factory=list)

    def describe(self) -> str:
        """Return a few lines that say what happened."""
        codes = "; ".join(f"{dict(Counter(codes))}" for codes in self.exits)
        return (
            f"faults {self.account.faults or 'none'}, {len(self.account.predictions)} answers;"
            f" first after {self.waits_s[0]:.0f} s, longest wait after that"
            f" {max(self.waits_s[1:], default=0.0):.1f} s; exit codes of each job: {codes}"
        )


class Restarting(Background):
    """A job that is started again two seconds after it has ended, whatever its exit code."""

    def __init__(self, supervisor: Supervisor) -> None:
        super().__init__("supervisor")
        self._supervisor = supervisor

    def _run(self) -> None:
        self._supervisor.start()
        while not self._stopped.wait(0.1):
            if not self._supervisor.current.is_running and not self._stopped.wait(_RESTART_AFTER_S):
                self._supervisor.tend()


class Feeder(Background):
    """A thread that sends a few records a second, so that there is always something to answer.

    Args:
        deployment: deployment whose input topic gets the records.

    Attributes:
        sent: all records that were sent.
    """

    def __init__(self, deployment: Deployment) -> None:
        super().__init__("feeder")
        self.sent: list[Record] = []
        self._deployment = deployment

    def _run(self) -> None:
        records = iter(build_customers(20_000))
        while not self._stopped.wait(_PACE_S):
            burst = [next(records) for _ in range(_BURST)]
            self.sent.extend(burst)
            produce(self._deployment.bootstrap_servers, self._deployment.input_topic, burst)


def run_rivals(
    deployment: Deployment, folder: Path, seconds: float, *, shares_checkpoint: bool
) -> Rivalry:
    """Leave two jobs to their supervisors for a while, and until all that was sent is answered.

    Args:
        deployment: deployment of both jobs; its checkpoint is that of the first job.
        folder: folder for logs.
        seconds: time for which the jobs are left alone, from the first answer.
        shares_checkpoint: whether the second job has the same checkpoint.
    """
    own = deployment if shares_checkpoint else replace(deployment, checkpoint=folder / "second")
    guard = GuardedFolder.create("rivals-")
    supervisors = [Supervisor(folder / name, (), {}, (), guard) for name in ("a", "b")]
    for supervisor, job in zip(supervisors, (deployment, own), strict=True):
        supervisor.configure(job.arguments(trigger="200 milliseconds"))
    try:
        with Restarting(supervisors[0]), Restarting(supervisors[1]):
            with Feeder(deployment) as feeder:
                waits_s = _watch_answers(deployment, seconds)
                exits = [list(supervisor.exits) for supervisor in supervisors]
            feeder.check()
            wait_until(lambda: _count_answers(deployment) >= len(feeder.sent))
    finally:
        for supervisor in supervisors:
            supervisor.end()
        guard.remove()
    return Rivalry(read_account(deployment, feeder.sent), waits_s, exits)


def _count_answers(deployment: Deployment) -> int:
    return len(read_topic(deployment.bootstrap_servers, deployment.output_topic))


def _watch_answers(deployment: Deployment, seconds: float) -> list[float]:
    """Return the seconds between looks that found new answers, for this long after the first."""
    seen, last_s = 0, time.monotonic()
    began_s: float | None = None
    waits_s: list[float] = []
    while began_s is None or time.monotonic() - began_s < seconds:
        assert began_s is not None or time.monotonic() - last_s < 240, "not one answer in 240 s"
        time.sleep(0.5)
        found = _count_answers(deployment)
        if found > seen:
            seen, now_s = found, time.monotonic()
            waits_s.append(now_s - last_s)
            last_s, began_s = now_s, began_s or now_s
    return [*waits_s, time.monotonic() - last_s]


def main() -> int:
    """Run the rivals by hand; return 0 if every record was answered once, else 1."""
    parser = argparse.ArgumentParser(prog="python -m tests.crash.rivals", description=__doc__)
    parser.add_argument("--seconds", type=float, default=180.0)
    parser.add_argument("--shared-checkpoint", action="store_true")
    parser.add_argument("--store", type=Path, default=Path("models"), help="of models")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="rivals-"))
    topics = ("rivals-input", "rivals-output", "rivals-dead")
    with EmbeddedBroker() as broker:
        create_topics(broker.cluster, dict.fromkeys(topics, 2))
        deployment = Deployment(
            broker.bootstrap_servers, *topics, options.store.resolve(), folder / "first", "rivals"
        )
        found = run_rivals(
            deployment, folder, options.seconds, shares_checkpoint=options.shared_checkpoint
        )
    sys.stdout.write(f"{found.describe()}\nthe logs: {folder}\n")
    return 1 if found.account.faults else 0


if __name__ == "__main__":
    sys.exit(main())
