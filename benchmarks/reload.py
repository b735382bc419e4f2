"""Measure the latency around the moment at which a running job takes another champion.

Run it with ``.venv/bin/python -m benchmarks.reload``; docs/measured.md has the results.
"""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
from pydantic import Field
from rich.console import Console

from benchmarks.contestants import build_job_command
from benchmarks.delays import Latency, Seconds, compute_latencies
from benchmarks.open_loop import ArrivalReader, send_on_schedule
from benchmarks.topics import clean_up
from benchmarks.trial import (
    FOLDER,
    Ground,
    TrialSettings,
    begin,
    plan_course,
    provide_ground,
    write_report,
)
from lib.errors import ScoringError
from lib.kafka.admin import build_admin
from lib.kafka.topics import create_topics
from lib.settings.command import run_job
from lib.store import ModelStore
from lib.store.version import open_version
from lib.tools.demo.child import Child

_START_TIMEOUT_S = 180.0
_END_TIMEOUT_S = 60.0
_LOOK_S = 1.0


class ReloadSettings(TrialSettings):
    """Send records on a schedule to a job whose champion changes twice, and measure the answers.

    This starts an embedded broker, or uses that of KAFKA_BOOTSTRAP_SERVERS (without
    authentication).
    """

    contestants = ("onnx", "sklearn", "sql", "spark")

    only: list[str] = Field(list(contestants), description="a backend; repeatable")
    rate: float = Field(1_000.0, gt=0, description="records per second")
    warm_up: float = Field(60.0, ge=0, description="seconds before anything is measured")
    minute: float = Field(
        60.0, gt=0, description="seconds that are measured before, and around each promotion"
    )
    rounds: int = Field(1, ge=1, description="how often each backend runs")


@dataclass(frozen=True)
class Reload:
    """The answers of one job.

    Attributes:
        backend: the engine that scores.
        before: the latencies of the time before the first promotion.
        around: the latencies of the time around each of two promotions.
    """

    backend: str
    before: Latency
    around: Sequence[Latency]

    def describe(self) -> str:
        """Describe the latencies in one line."""
        ratios = ", ".join(
            f"{each.p99_ms / self.before.p99_ms:.2f}"
            for each in self.around
            if each.p99_ms is not None and self.before.p99_ms
        )
        worst = max(each.max_ms or 0.0 for each in self.around)
        return (
            f"p50 {self.before.p50_ms} ms, p99 {self.before.p99_ms} ms before; p99 around the"
            f" promotions {', '.join(str(each.p99_ms) for each in self.around)} ms, {ratios} of it;"
            f" longest {worst} ms"
        )


def measure_reload(backend: str, settings: ReloadSettings, ground: Ground) -> Reload:
    """Let the job answer the load, change its champion twice, and measure.

    Raises:
        ScoringError: the job does not answer.
    """
    champion, rival = open_version(ground.model), open_version(ground.rival)
    store, name = ModelStore(ground.model.parents[1]), champion.name
    course = plan_course(ground, spark_settings=["spark.master=local[2]", *settings.conf])
    topics = (course.input_topic, course.output_topic, course.dead_letter_topic)
    admin = build_admin(ground.cluster)
    create_topics(ground.cluster, dict.fromkeys(topics, 1))
    options = {
        "--store": store.root,
        "--model": f"{name}@champion",
        "--backend": backend,
        "--trigger": "0 seconds",
        "--reload-interval": _LOOK_S,
    }
    command = build_job_command(course, options)
    seconds = settings.warm_up + 3 * settings.minute
    records = int(settings.rate * seconds)
    moments_s = [settings.warm_up + settings.minute * share for share in (1.5, 2.5)]
    changes: list[Callable[[], object]] = [
        partial(store.promote, name, rival.version),
        partial(store.roll_back, name),
    ]
    try:
        with (
            ArrivalReader(ground.cluster, topics[1:], records, 1) as reader,
            Child(backend, command, FOLDER / f"reload-{backend}.log", ground.guard) as job,
        ):
            send_on_schedule(ground.cluster, topics[0], 1, settings.rate)
            if not reader.wait_for_answers(1, _START_TIMEOUT_S, job.check):
                raise ScoringError(f"{backend} did not answer", hint=f"its log is {job.log}")
            reader.forget()
            timers = [
                threading.Timer(at_s, change)
                for at_s, change in zip(moments_s, changes, strict=True)
            ]
            for timer in timers:
                timer.start()
            start_s = send_on_schedule(ground.cluster, topics[0], records, settings.rate)
            if not reader.wait_for_answers(records, _END_TIMEOUT_S, job.check):
                raise ScoringError(f"{backend} did not answer all records")
            due_s, latencies_s = compute_latencies(start_s, settings.rate, 0, reader.arrived_s)
    finally:
        clean_up(admin, topics, [course.group])
    take = partial(_take, due_s - start_s, latencies_s, settings.minute)
    return Reload(
        backend, take(settings.warm_up), [take(it - settings.minute / 2) for it in moments_s]
    )


def _take(due_s: Seconds, latencies_s: Seconds, minute_s: float, begin_s: float) -> Latency:
    """Take the latencies of the records that were due within a minute."""
    return Latency.over(latencies_s[np.logical_and(due_s >= begin_s, due_s < begin_s + minute_s)])


def measure(settings: ReloadSettings) -> int:
    """Measure all backends, and write a report; return the exit code."""
    console = Console(highlight=False)
    started, conditions = begin(settings, console)
    found = []
    with provide_ground(conditions, console) as ground:
        for _ in range(settings.rounds):
            for backend in settings.only:
                with console.status(backend):
                    found.append(measure_reload(backend, settings, ground))
                console.print(f"{backend}: {found[-1].describe()}", soft_wrap=True)
    report = {**conditions, "runs": [asdict(each) for each in found]}
    write_report(settings, "reload", started, json.dumps(report, indent=2) + "\n", console)
    return 0


if __name__ == "__main__":
    sys.exit(run_job(ReloadSettings, measure))
