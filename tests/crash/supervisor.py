"""Keep the job running, as a supervisor does, and find its processes."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from lib.tools.broker.guarded_folder import GuardedFolder
from tests.end_to_end.jobs import SUBMIT

DYING_JOB = str(Path(__file__).with_name("dying_job.py"))
_TAIL_BYTES = 4_000
_EXIT_TIMEOUT_S = 90.0


@dataclass(frozen=True)
class Launch:
    """One start of the job.

    Attributes:
        process: the wrapper script, which becomes the driver's JVM and leads a process group.
        folder: folder with the job's log, its timeline and the orders that it obeys.
        started_s: time of the start, by the clock.
    """

    process: subprocess.Popen[bytes]
    folder: Path
    started_s: float

    @property
    def is_running(self) -> bool:
        """Whether its first process lives; a stopped process does."""
        return self.process.poll() is None

    def order_death(self, step: str, times: int) -> None:
        """Let the job kill itself when it reaches a step; see ``dying_job.py``."""
        draft = self.folder / "order.draft"
        draft.write_text(f"{step} {times}\n")
        draft.rename(self.folder / "order")

    def signal_group(self, number: signal.Signals) -> None:
        """Send a signal to every process of this start."""
        try:
            os.killpg(self.process.pid, number)
        except ProcessLookupError:
            return

    def kill(self) -> None:
        """Send SIGKILL to wrapper, JVM and driver; Python workers end when their JVM is gone."""
        below = self.list_below()
        self.signal_group(signal.SIGKILL)
        self.process.wait()
        psutil.wait_procs(below, timeout=5.0)

    def stop(self) -> int:
        """Ask the job to end after its batch, and return its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(_EXIT_TIMEOUT_S)

    def list_below(self) -> list[psutil.Process]:
        """Return the processes that the job started, oldest first."""
        return list_below(self.process.pid)

    def find_python(self) -> psutil.Process | None:
        """Return the driver's Python process, which runs the job's script."""
        return next((it for it in self.list_below() if _has_word(it, DYING_JOB)), None)

    def find_workers(self) -> list[psutil.Process]:
        """Return the driver's Python workers."""
        return choose_workers(self.list_below())

    def read_timeline(self) -> dict[str, float]:
        """Return step and how many times it was reached → time by the clock."""
        try:
            lines = (self.folder / "timeline").read_text().splitlines()
        except FileNotFoundError:
            return {}
        pairs = (line.split() for line in lines)
        return {pair[0]: float(pair[1]) for pair in pairs if len(pair) == 2}

    def read_log(self) -> str:
        """Return what the job wrote to standard output and standard error."""
        return (self.folder / "log").read_text(errors="replace")

    def read_log_tail(self) -> str:
        """Return the end of the job's log."""
        return self.read_log()[-_TAIL_BYTES:]


def list_below(pid: int) -> list[psutil.Process]:
    """Return the processes that a process started, oldest first; none if it has ended."""
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def choose_workers(below: Sequence[psutil.Process]) -> list[psutil.Process]:
    """Return the Python workers among processes: those that pyspark's daemon has forked."""
    daemons = {it.pid for it in below if _has_word(it, "pyspark.daemon")}
    return [it for it in below if _parent(it) in daemons]


def _has_word(process: psutil.Process, word: str) -> bool:
    try:
        return word in process.cmdline()
    except psutil.Error:
        return False


def _parent(process: psutil.Process) -> int | None:
    try:
        return process.ppid()
    except psutil.Error:
        return None


class Supervisor:
    """A supervisor that starts the job, and starts it again whenever it has ended.

    Args:
        folder: folder for the folders of launches.
        submit_options: options for spark-submit.
        environment: variables in addition to those of this process.
        launcher: command that goes before the job's command and becomes it, with the same pid; it
            may be changed for later starts.
        guard: guard that ends the launches if this process dies before it can do so.
    """

    def __init__(
        self,
        folder: Path,
        submit_options: Sequence[str],
        environment: Mapping[str, str],
        launcher: Sequence[str],
        guard: GuardedFolder,
    ) -> None:
        self.launches: list[Launch] = []
        self.exits: list[int] = []
        self._folder = folder
        self._submit_options = list(submit_options)
        self._environment = dict(environment)
        self.launcher = tuple(launcher)
        self._guard = guard
        self._arguments: list[str] = []
        self._ordered: tuple[str, int] | None = None

    @property
    def current(self) -> Launch:
        """The latest launch of the job."""
        return self.launches[-1]

    def configure(self, arguments: Sequence[str]) -> None:
        """Set the job's arguments from the next start on."""
        self._arguments = list(arguments)

    def order_death_of_next(self, step: str, times: int) -> None:
        """Order the next start to die at a step, like :meth:`Launch.order_death`."""
        self._ordered = (step, times)

    def start(self) -> Launch:
        """Start the job, whether or not another one runs."""
        folder = self._folder / f"start-{len(self.launches):03d}"
        folder.mkdir(parents=True)
        (folder / "tmp").mkdir()
        command = [
            *self.launcher,
            *(SUBMIT, "--conf", "spark.ui.enabled=false"),
            *self._submit_options,
            *(DYING_JOB, *self._arguments),
        ]
        environment = {
            **os.environ,
            # The job is started many times and runs briefly; the quick compiler alone makes each
            # start twice as fast.
            "SPARK_SUBMIT_OPTS": "-XX:TieredStopAtLevel=1",
            "TMPDIR": str(folder / "tmp"),
            "SPARK_LOCAL_DIRS": str(folder / "tmp"),
            **self._environment,
            "CRASH_FOLDER": str(folder),
        }
        started_s = time.time()
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env=environment,
                cwd="/",
            )
        # The wrapper becomes the JVM, which ends Python when it ends.
        self._guard.watch(process.pid, folder.name)
        launch = Launch(process, folder, started_s)
        if self._ordered is not None:
            launch.order_death(*self._ordered)
            self._ordered = None
        self.launches.append(launch)
        return launch

    def tend(self) -> bool:
        """Start the job again if it has ended, and tell whether it had."""
        if self.current.is_running:
            return False
        self.exits.append(self.current.process.returncode)
        self.start()
        return True

    def end(self) -> None:
        """Kill all processes that still run, stopped ones too."""
        for launch in self.launches:
            if launch.is_running:
                launch.kill()
