"""Define who drains the topic: the job in its variants, and a hand-written loop."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lib.kafka.cluster import Cluster
from lib.settings.jobs.score_stream import AVAILABLE_NOW
from lib.setup.places import PROJECT_ROOT

LOOP_PROCESSES = 2


@dataclass(frozen=True)
class Course:
    """The names and places that a contestant gets; all are new except the input.

    Attributes:
        cluster: the brokers.
        input_topic: the topic that is drained.
        output_topic, dead_letter_topic: empty topics for the messages.
        group: the consumer group, the query name and the prefix of transactional ids.
        model: the folder of a stored version.
        checkpoint: a folder that does not exist yet.
        batch_records: the size of the job's micro-batches.
        spark_settings: values of spark-submit's ``--conf``, beside those in
            conf/spark-defaults.conf.
    """

    cluster: Cluster
    input_topic: str
    output_topic: str
    dead_letter_topic: str
    group: str
    model: Path
    checkpoint: Path
    batch_records: int
    spark_settings: Sequence[str] = ()


@dataclass(frozen=True)
class Contestant:
    """A contestant, which is one row of the table.

    Attributes:
        name: the name for ``--only``.
        guarantee: the guarantee for its output.
        backend: the name of the backend that scores.
        build_command: a function that returns program and arguments; the process ends when the
            topic is drained.
        is_endless: whether the process does not end by itself, and has to be stopped.
    """

    name: str
    guarantee: str
    backend: str
    build_command: Callable[[Course], list[str]] = field(repr=False)
    is_endless: bool = False


def build_job_command(course: Course, options: Mapping[str, object]) -> list[str]:
    """Return the command of the job as users start it.

    Args:
        course: the places where the job reads and writes, and its model.
        options: further flags of the job, with their values.
    """
    everything: Mapping[str, object] = {
        "--bootstrap-servers": course.cluster.bootstrap_servers,
        "--input-topic": course.input_topic,
        "--output-topic": course.output_topic,
        "--dead-letter-topic": course.dead_letter_topic,
        "--query-name": course.group,
        "--model": course.model,
        "--checkpoint": course.checkpoint,
        **options,
    }
    return [
        str(PROJECT_ROOT / "spark-submit.sh"),
        *(part for setting in course.spark_settings for part in ("--conf", setting)),
        str(PROJECT_ROOT / "jobs" / "score_stream.py"),
        *(str(part) for option in everything.items() for part in option),
    ]


def _build_job(
    delivery: str, backend: str, commit: str = "driver", decoder: str = "auto"
) -> Contestant:
    name, shown = f"{delivery}/{backend}", backend
    if commit != "driver":
        name, shown = f"{name}/{commit}", f"{shown}, commits on the {commit}s"
    if decoder != "auto":
        name, shown = f"{name}/decoded-in-{decoder}", f"{shown}, decoded in {decoder.title()}"

    def build_command(course: Course) -> list[str]:
        return build_job_command(
            course,
            {
                "--backend": backend,
                "--delivery": delivery,
                "--commit": commit,
                "--decoder": decoder,
                "--trigger": AVAILABLE_NOW,
                "--max-offsets-per-trigger": course.batch_records,
            },
        )

    return Contestant(name, delivery, shown, build_command)


def _build_loop(kind: str) -> Contestant:
    """Return the hand-written loop, with one process for each core."""

    def build_command(course: Course) -> list[str]:
        return [
            *(sys.executable, str(PROJECT_ROOT / "benchmarks" / "hand_loop.py")),
            *(course.cluster.bootstrap_servers, course.input_topic, course.output_topic),
            *(course.dead_letter_topic, course.group, str(course.model)),
            *("--processes", str(LOOP_PROCESSES), "--kind", kind),
        ]

    return Contestant(
        f"hand-loop/{kind}", "exactly-once", f"{kind}, hand-written loop", build_command
    )


HAND_LOOP = "hand-loop/sklearn"
HAND_LOOP_ONNX = "hand-loop/onnx"

CONTESTANTS: Mapping[str, Contestant] = {
    contestant.name: contestant
    for contestant in (
        _build_job("exactly-once", "onnx"),
        _build_job("exactly-once", "sql"),
        _build_job("exactly-once", "spark"),
        _build_job("exactly-once", "sql", decoder="python"),
        _build_job("exactly-once", "spark", decoder="spark"),
        _build_job("at-least-once", "spark"),
        _build_job("exactly-once", "sklearn"),
        _build_job("at-least-once", "sklearn"),
        _build_job("exactly-once", "onnx", "executor"),
        _build_job("exactly-once", "sql", "executor"),
        _build_job("exactly-once", "spark", "executor"),
        _build_job("exactly-once", "sklearn", "executor"),
        _build_loop("sklearn"),
        _build_loop("onnx"),
    )
}
