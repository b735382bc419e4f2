"""Run the real job as a child process, started as an operator starts it."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from lib.settings.jobs.score_stream import AVAILABLE_NOW, ScoreStreamSettings
from lib.setup.places import PROJECT_ROOT
from tests.support.topics import Account, Record, read_topic, take_account

SUBMIT = str(PROJECT_ROOT / "spark-submit.sh")
SCORE_STREAM = str(PROJECT_ROOT / "jobs" / "score_stream.py")
# The timeout is generous, because a loaded machine takes several times as long as an idle one.
JOB_TIMEOUT_S = 180.0
_NO_UI = {"spark.ui.enabled": "false"}
_LEASE_S = 3


@dataclass(frozen=True)
class Deployment:
    """The places where one query reads, writes and keeps its state.

    Attributes:
        bootstrap_servers: address of the broker.
        input_topic, output_topic, dead_letter_topic: existing topics.
        store: folder of the model store.
        checkpoint: folder of the query's checkpoint.
        query_name: name of the query, its consumer group and its transactional id.
    """

    bootstrap_servers: str
    input_topic: str
    output_topic: str
    dead_letter_topic: str
    store: Path
    checkpoint: Path
    query_name: str

    def values(self, **options: Any) -> dict[str, Any]:
        """Return the job's settings by name; options like ``trigger="1 second"`` override them."""
        return {
            "bootstrap_servers": self.bootstrap_servers,
            "input_topic": self.input_topic,
            "output_topic": self.output_topic,
            "dead_letter_topic": self.dead_letter_topic,
            "store": str(self.store),
            "checkpoint": str(self.checkpoint),
            "query_name": self.query_name,
            "trigger": AVAILABLE_NOW,
            **options,
        }

    def settings(self, **options: Any) -> ScoreStreamSettings:
        """Return the values as settings of a job that runs in this process.

        This process lives on when such a job has failed, so the next start cannot tell that the job
        has ended, and waits for the end of its lease. The lease is therefore short.
        """
        return ScoreStreamSettings(**self.values(**{"lease": _LEASE_S, **options}))

    def arguments(self, **options: str | int) -> list[str]:
        """Return the values as the job's flags."""
        values = self.values(**options)
        pairs = ((f"--{name.replace('_', '-')}", str(value)) for name, value in values.items())
        return [part for pair in pairs for part in pair]


def read_account(
    deployment: Deployment, records: Sequence[Record], servers: str | None = None
) -> Account:
    """Compare records with what the job has written to both of its topics.

    Args:
        deployment: deployment that names the topics.
        records: all records that went into the input topic.
        servers: address to read from, if only the job may use the address of the deployment.
    """
    servers = servers or deployment.bootstrap_servers
    return take_account(
        records,
        read_topic(servers, deployment.output_topic),
        read_topic(servers, deployment.dead_letter_topic),
    )


def run_job(arguments: list[str], script: str = SCORE_STREAM) -> subprocess.CompletedProcess[str]:
    """Run a job to its end and return what it printed."""
    with start_job(arguments, script) as process:
        output, errors = process.communicate(timeout=JOB_TIMEOUT_S)
    return subprocess.CompletedProcess(arguments, process.returncode, output, errors)


@contextmanager
def start_job(
    arguments: list[str],
    script: str = SCORE_STREAM,
    environment: dict[str, str] | None = None,
    spark_options: Mapping[str, str] = _NO_UI,
    output: IO[bytes] | None = None,
    submit_options: Sequence[str] = (),
) -> Iterator[subprocess.Popen[str]]:
    """Start a job in a new process group, and kill what is left of the group at the end.

    Args:
        arguments: arguments of the job.
        script: path of the job's script.
        environment: variables in addition to those of this process.
        spark_options: options that spark-submit gets by ``--conf``.
        output: file for all that the job prints; by default there are pipes.
        submit_options: more options of spark-submit itself.
    """
    conf = [part for pair in spark_options.items() for part in ("--conf", "=".join(pair))]
    process = subprocess.Popen(
        [SUBMIT, *conf, *submit_options, script, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=output or subprocess.PIPE,
        stderr=subprocess.PIPE if output is None else subprocess.STDOUT,
        text=True,
        start_new_session=True,
        env={**os.environ, **(environment or {})},
        cwd="/",
    )
    with process:  # this closes the pipes
        try:
            yield process
        finally:
            kill_group(process)


def read_start(process: subprocess.Popen[str]) -> tuple[list[str], str]:
    """Return (what a job has told of its start, the line of its first batch), without the times."""
    assert process.stdout is not None
    lines: list[str] = []
    for line in process.stdout:
        _, _, text = line.rstrip().partition(" ")
        text = text.partition(" ")[2]
        if text.startswith("batch "):
            return lines, text
        lines.append(text.removeprefix("INFO lib.start "))
    raise AssertionError(f"the job has ended: {lines}")


def kill_group(process: subprocess.Popen[str]) -> None:
    """Send SIGKILL to the job's process group: wrapper, JVM, driver and Python workers."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    process.wait()
