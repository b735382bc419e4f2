"""SIGTERM ends the job in time, whatever it is doing and whatever has happened to the broker."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import psutil
import pytest

from lib.kafka.topics import create_topics
from lib.tools.broker import EmbeddedBroker
from tests.crash.supervisor import DYING_JOB
from tests.end_to_end.jobs import Deployment, start_job
from tests.support.topics import build_customers, produce
from tests.support.waiting import wait_until

# The default is 60 s; a shorter time shows the same.
STOP_TIMEOUT_S = 3
# This is the timeout, 15 s to close, and a margin for a loaded machine. Without the bound, the job
# took 115 to 175 s when a broker was away.
ENDS_WITHIN_S = STOP_TIMEOUT_S + 15 + 60


class Phase(NamedTuple):
    """A moment at which the signal comes, defined by what the job is doing.

    Attributes:
        order: step at which the broker gets a signal, and the signal's number; empty if the broker
            is suspended before the job starts.
        sign: printed text, or name of a step, after which the signal is sent.
        codes: exit codes with which the job may end.
        line: line that says what the stop waits for.
    """

    order: str
    sign: str
    codes: tuple[int, ...]
    line: str


PHASES = {
    "before Spark runs, the broker stopped": Phase(
        "", "python-1", (143,), "SIGTERM: the query does not run yet, ending at once"
    ),
    "taking over, the broker stopped": Phase(
        f"opening 1 {signal.SIGSTOP:d}",
        "opening-1",
        (143,),
        "SIGTERM: stopping, waiting for Kafka, to take the query over",
    ),
    "idle, the broker stopped": Phase(
        f"committed 2 {signal.SIGSTOP:d}",
        "no broker answers",
        (0, 143),
        "SIGTERM: stopping, waiting for the batch under way",
    ),
    # This phase comes last, because a broker that was killed takes long to come back.
    "in a batch, the broker killed": Phase(
        f"produced 2 {signal.SIGKILL:d}",
        "produced-2",
        (0, 143),
        "SIGTERM: stopping, waiting for the batch under way",
    ),
}


@pytest.fixture(scope="module")
def frail_broker() -> Iterator[EmbeddedBroker]:
    """Provide a broker for the phases of this module, some of which it does not survive.

    The broker has the topics of all phases from the start, because a broker that was stopped for
    long creates none until its controller knows it again, which takes half a minute.
    """
    with EmbeddedBroker() as running:
        topics = [topic for name in PHASES for topic in name_topics(name).values()]
        create_topics(running.cluster, dict.fromkeys(topics, 1))
        yield running


def name_topics(phase: str) -> dict[str, str]:
    return {
        f"{kind}_topic": f"{kind}.{phase.replace(', ', '.').replace(' ', '-')}"
        for kind in ("input", "output", "dead_letter")
    }


@pytest.fixture
def deployment(
    frail_broker: EmbeddedBroker, phase: str, model_store: Path, tmp_path: Path
) -> Deployment:
    """Provide a query on the frail broker."""
    if frail_broker.pid is None:
        frail_broker.restart()
    return Deployment(
        bootstrap_servers=frail_broker.bootstrap_servers,
        **name_topics(phase),
        store=model_store,
        checkpoint=tmp_path / "checkpoint",
        query_name=f"stop-{time.monotonic_ns()}",
    )


@pytest.mark.parametrize("phase", PHASES)
def test_sigterm_ends_the_job_in_time(
    frail_broker: EmbeddedBroker, deployment: Deployment, tmp_path: Path, phase: str
) -> None:
    order, sign, codes, line = PHASES[phase]
    produce(deployment.bootstrap_servers, deployment.input_topic, build_customers(20))
    assert frail_broker.pid is not None
    broker = psutil.Process(frail_broker.pid)
    if order:
        (tmp_path / "order").write_text(f"{order} {broker.pid}\n")
    else:
        broker.suspend()
    log, timeline = tmp_path / "log", tmp_path / "timeline"
    arguments = deployment.arguments(trigger="100 milliseconds", stop_timeout=STOP_TIMEOUT_S)
    try:
        with (
            log.open("wb") as output,
            start_job(arguments, DYING_JOB, {"CRASH_FOLDER": str(tmp_path)}, output=output) as job,
        ):
            wait_until(lambda: sign in read(timeline) + read(log) or job.poll() is not None)
            if not order:
                time.sleep(2.0)  # the job imports modules first, and then waits for the broker
            below = psutil.Process(job.pid).children(recursive=True)
            sent_s = time.monotonic()
            job.send_signal(signal.SIGTERM)
            code = job.wait(120)
            lasted_s = time.monotonic() - sent_s
            _, left = psutil.wait_procs(below, timeout=20)
    finally:
        if broker.is_running() and broker.status() == psutil.STATUS_STOPPED:
            os.kill(broker.pid, signal.SIGCONT)

    assert lasted_s < ENDS_WITHIN_S
    assert code in codes, read(log)
    assert left == []
    printed = read(log)
    assert line in printed
    assert "Traceback" not in printed


def read(path: Path) -> str:
    return path.read_text(errors="replace") if path.exists() else ""
