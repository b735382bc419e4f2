"""Soak the job: load it steadily, stop, kill and start it again, and measure its processes."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from lib.store import ModelStore
from tests.end_to_end.jobs import SCORE_STREAM, SUBMIT, Deployment
from tests.endurance.growth import Bound, Growth, measure_growth
from tests.endurance.processes import Role, Weight, weigh
from tests.support.answers import AnswerReader
from tests.support.ledger import Ledger
from tests.support.load import Load

_MIB = 2**20
_LOOK_INTERVAL_S = 2.0
# A full collection costs the job a tenth of a second.
_HEAP_INTERVAL_S = 8.0
# These threads are no leaks: Spark's pools of at most 128 threads each fill within minutes and stay
# full, and each watcher of a Python task ends up to two seconds after its task.
_POOLS = (
    *("block-manager-storage-async-thread-pool-#", "block-manager-ask-thread-pool-#"),
    "Worker Monitor for ",
)
_STOP_TIMEOUT_S = 120.0
_DRAIN_TIMEOUT_S = 300.0

#: Bounds on what may grow within a life of the job after its warm-up.
BOUNDS: Mapping[str, Bound] = {
    "uss": Bound(share=0.10, least=24 * _MIB),
    "heap": Bound(share=0.15, least=32 * _MIB),
    "files": Bound(share=0.02, least=4),
    "connections": Bound(share=0.0, least=3),
    "threads": Bound(share=0.03, least=4),
}


@dataclass(frozen=True)
class Life:
    """One run of the job, from its start to its end.

    Attributes:
        ended_by: signal that ended the run.
        model: version that was the champion at the start.
        seconds: length of the run.
        growths: growth of every quantity that was watched after the warm-up.
        left_files: number of entries in the job's temporary folder afterwards.
        checkpoint_bytes, checkpoint_files: size of the checkpoint afterwards.
        broker_files: number of the broker's open file descriptors afterwards.
        jvm_threads: name of a thread without its numbers → how many the JVM had at the end.
    """

    ended_by: str
    model: int
    seconds: float
    growths: Sequence[Growth]
    left_files: int
    checkpoint_bytes: int
    checkpoint_files: int
    broker_files: int
    jvm_threads: Mapping[str, int]

    @property
    def leaks(self) -> list[Growth]:
        """Quantities that grew by more than they may."""
        return [growth for growth in self.growths if growth.is_leak]


@dataclass
class Soak:
    """The settings and helpers that all lives share.

    Attributes:
        deployment: deployment of the job.
        folder: folder for the job's log and temporary files.
        reader, load: reader of the answers and sender of the load, which run meanwhile.
        ledger: ledger of all records.
        broker_pid: process id of the broker; None where others started it.
        tell: function that prints a line about the progress.
        warm_up_s: time at the start of each life in which nothing is judged.
    """

    deployment: Deployment
    folder: Path
    reader: AnswerReader
    load: Load
    ledger: Ledger
    broker_pid: int | None
    tell: Callable[[str], None]
    rate: int
    warm_up_s: float
    options: Mapping[str, str] = field(default_factory=dict)
    lives: list[Life] = field(default_factory=list)

    def live(self, seconds: float, end: signal.Signals, *, drain: bool = False) -> Life:
        """Start the job with the other version as champion, watch it, and end it.

        Args:
            seconds: length of the life from its first answer on.
            end: signal that ends the job.
            drain: whether to stop the load and wait for all answers before the end.
        """
        model = 1 + len(self.lives) % 2
        ModelStore(self.deployment.store).promote("churn", model)
        temporary = self.folder / f"tmp-{len(self.lives)}"
        temporary.mkdir()
        started_s = time.monotonic()
        watch = self.reader.watch()
        weights: dict[Role, list[Weight]] = {}
        heap: list[tuple[float, float]] = []
        threads: list[tuple[float, float]] = []
        with self._start(temporary) as process:
            self._feed_until(process, lambda: watch.first_s is not None, _DRAIN_TIMEOUT_S)
            self.tell(f"life {len(self.lives) + 1}: churn@{model} answers")
            warm_s = time.monotonic() + self.warm_up_s
            deadline = time.monotonic() + seconds
            looked_s = heap_s = 0.0
            while time.monotonic() < deadline:
                self._feed(process)
                now_s = time.monotonic()
                if now_s > warm_s and now_s - looked_s > _LOOK_INTERVAL_S:
                    looked_s = now_s
                    for role, weight in weigh(psutil.Process(process.pid)).items():
                        weights.setdefault(role, []).append(weight)
                if now_s > warm_s and now_s - heap_s > _HEAP_INTERVAL_S:
                    heap_s = now_s
                    used = measure_heap(process.pid)
                    if used is not None:
                        heap.append((now_s, used))
                    named = count_jvm_threads(process.pid)
                    others = [count for name, count in named.items() if not name.startswith(_POOLS)]
                    threads.append((now_s, float(sum(others))))
            if drain:
                self._drain(process)
            jvm_threads = count_jvm_threads(process.pid)
            process.send_signal(end) if end is signal.SIGTERM else os.killpg(process.pid, end)
            process.wait(_STOP_TIMEOUT_S)
        checkpoint = [p for p in self.deployment.checkpoint.rglob("*") if p.is_file()]
        life = Life(
            ended_by=end.name,
            model=model,
            seconds=time.monotonic() - started_s,
            growths=measure_all(weights, heap, threads),
            left_files=sum(1 for _ in temporary.iterdir()),
            checkpoint_bytes=sum(path.stat().st_size for path in checkpoint),
            checkpoint_files=len(checkpoint),
            broker_files=self._count_broker_files(),
            jvm_threads=jvm_threads,
        )
        self.lives.append(life)
        return life

    @contextmanager
    def _start(self, temporary: Path) -> Iterator[subprocess.Popen[bytes]]:
        java = f"-Djava.io.tmpdir={temporary} {os.environ.get('SPARK_SUBMIT_OPTS', '')}"
        environment = {
            **os.environ,
            "TMPDIR": str(temporary),
            "SPARK_LOCAL_DIRS": str(temporary),
            "SPARK_SUBMIT_OPTS": java,
        }
        arguments = self.deployment.arguments(trigger="500 milliseconds", **self.options)
        command = [SUBMIT, "--conf", "spark.ui.enabled=false", SCORE_STREAM, *arguments]
        with (self.folder / "job.log").open("ab") as log:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env=environment,
            )
            try:
                yield process
            finally:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    def _feed(self, process: subprocess.Popen[bytes]) -> None:
        """Let the load go on for a tenth of a second."""
        if process.poll() is not None:
            log = (self.folder / "job.log").read_text(errors="replace")
            raise RuntimeError(f"the job ended with {process.returncode}: {log[-2_000:]}")
        self.load.check()
        self.load.allow(self.rate // 10)
        time.sleep(0.1)

    def _feed_until(
        self, process: subprocess.Popen[bytes], condition: Callable[[], bool], timeout_s: float
    ) -> None:
        deadline = time.monotonic() + timeout_s
        while not condition():
            if time.monotonic() > deadline:
                raise TimeoutError(f"no answer within {timeout_s:.0f} s")
            self._feed(process)

    def _drain(self, process: subprocess.Popen[bytes]) -> None:
        self.reader.wait_for(lambda: self.load.sent >= self.load.allowed, _DRAIN_TIMEOUT_S)
        self.load.flush()
        self.reader.wait_for(
            lambda: self.ledger.answered >= self.ledger.expected or process.poll() is not None,
            _DRAIN_TIMEOUT_S,
        )

    def _count_broker_files(self) -> int:
        return 0 if self.broker_pid is None else psutil.Process(self.broker_pid).num_fds()


def measure_all(
    weights: Mapping[Role, Sequence[Weight]],
    heap: Sequence[tuple[float, float]],
    threads: Sequence[tuple[float, float]],
) -> list[Growth]:
    """Return the growth of every quantity in :data:`BOUNDS` for each role.

    Args:
        weights: role → its measurements.
        heap: (time, bytes) of the JVM's heap after a full collection. It is judged instead of the
            JVM's pages, which grow until the heap is full, however little of it is in use.
        threads: (time, number) for the JVM's threads outside of Spark's bounded pools.
    """
    growths = []
    for role, looks in weights.items():
        times_s = [look.at_s for look in looks]
        values = {
            "uss": [float(look.uss_bytes) for look in looks],
            "files": [float(look.files) for look in looks],
            "connections": [float(look.connections) for look in looks],
            "threads": [float(look.threads) for look in looks],
        }
        if role is Role.JVM:
            del values["uss"], values["threads"]
        growths += [
            measure_growth(f"{role} {name}", times_s, series, BOUNDS[name])
            for name, series in values.items()
        ]
    for name, bound, series in (
        ("JVM heap after GC", "heap", heap),
        ("JVM threads outside of pools", "threads", threads),
    ):
        times_s = [moment for moment, _ in series]
        growths.append(measure_growth(name, times_s, [value for _, value in series], BOUNDS[bound]))
    return growths


def measure_heap(pid: int) -> float | None:
    """Return the bytes of a JVM's live objects; None where jcmd does not say.

    The histogram is taken right after a full collection, within the same pause. A moment later the
    heap would hold tens of megabytes of new garbage.
    """
    done = subprocess.run(
        ["jcmd", str(pid), "GC.class_histogram"], capture_output=True, text=True, check=False
    )
    total = re.search(r"^Total\s+\d+\s+(\d+)", done.stdout, re.MULTILINE)
    return None if total is None else float(total[1])


def count_jvm_threads(pid: int) -> dict[str, int]:
    """Return name of a JVM's threads, without numbers → how many there are, most first."""
    done = subprocess.run(
        ["jcmd", str(pid), "Thread.print"], capture_output=True, text=True, check=False
    )
    names = re.findall(r'^"([^"]*)"', done.stdout, re.MULTILINE)
    return dict(Counter(re.sub(r"[0-9a-f-]{8,}|\d+", "#", name) for name in names).most_common())
