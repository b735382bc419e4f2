"""Define who drains the topic: the job in its variants, hand-written loops, and a framework."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from benchmarks.course import Build, Course
from benchmarks.peers.commands import QUIX, build_quix
from lib.settings.jobs.score_stream import AVAILABLE_NOW
from lib.setup.places import PROJECT_ROOT

LOOP_PROCESSES = 2
ALL_RECORDS = sys.maxsize
#: A framework that gets record by record drains these in a quarter of a minute.
SOME_RECORDS = 100_000
#: Quix commits this often: the interval with the best of rate and latency together.
QUIX_COMMIT_INTERVAL_S = 0.1


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
        most_records: the largest number of records in its topic.
        environment: the name of its environment in ``benchmarks/peers``; None where it needs none.
        package: the package whose version is reported, in that environment.
    """

    name: str
    guarantee: str
    backend: str
    build_command: Build = field(repr=False)
    is_endless: bool = False
    most_records: int = ALL_RECORDS
    environment: str | None = None
    package: str | None = None


@dataclass(frozen=True)
class Extra:
    """Something that the job does besides, whose cost is measured where somebody asks for it.

    Attributes:
        shown: the words for the table.
        list_flags: a function that returns the flags of the job.
    """

    shown: str
    list_flags: Callable[[Course], list[str]]


#: The end of a contestant's name → what it does besides.
EXTRAS: Mapping[str, Extra] = {
    "drift": Extra("drift counted", lambda course: ["--drift"]),
    "shadow": Extra(
        "a shadow beside it",
        lambda course: ["--shadow", str(course.rival), "--shadow-topic", course.shadow_topic],
    ),
}


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


def build_job(
    delivery: str,
    backend: str,
    commit: str = "driver",
    decoder: str = "auto",
    *,
    extra: str = "",
) -> Contestant:
    """Return the job as it drains a topic: all that is there, in micro-batches.

    It has the settings that the arguments are named after, and does one of :data:`EXTRAS` besides.
    """
    name, shown = f"{delivery}/{backend}", backend
    if commit != "driver":
        name, shown = f"{name}/{commit}", f"{shown}, commits on the {commit}s"
    if decoder != "auto":
        name, shown = f"{name}/decoded-in-{decoder}", f"{shown}, decoded in {decoder.title()}"
    if extra:
        name, shown = f"{name}/{extra}", f"{shown}, {EXTRAS[extra].shown}"

    def build_command(course: Course) -> list[str]:
        command = build_job_command(
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
        return [*command, *EXTRAS[extra].list_flags(course)] if extra else command

    return Contestant(name, delivery, shown, build_command)


def build_loop_command(
    course: Course, kind: str, options: Sequence[str] = (), processes: int = LOOP_PROCESSES
) -> list[str]:
    """Return the command of the hand-written loop, with one process for each core."""
    return [
        *(sys.executable, str(PROJECT_ROOT / "benchmarks" / "hand_loop.py")),
        *(course.cluster.bootstrap_servers, course.input_topic, course.output_topic),
        *(course.dead_letter_topic, course.group, str(course.model)),
        *("--processes", str(processes), "--kind", kind, *options),
    ]


def _build_loop(kind: str) -> Contestant:
    return Contestant(
        f"hand-loop/{kind}",
        "exactly-once",
        f"{kind}, hand-written loop",
        lambda course: build_loop_command(course, kind),
    )


def _build_framework() -> Contestant:
    """Return Quix Streams, the fastest public framework that is exactly once, with the model."""
    return Contestant(
        QUIX,
        "exactly-once",
        "onnx, Quix Streams",
        build_quix("exactly-once", QUIX_COMMIT_INTERVAL_S),
        is_endless=True,
        most_records=SOME_RECORDS,
        environment=QUIX,
        package="quixstreams",
    )


HAND_LOOP = "hand-loop/sklearn"
HAND_LOOP_ONNX = "hand-loop/onnx"

CONTESTANTS: Mapping[str, Contestant] = {
    contestant.name: contestant
    for contestant in (
        build_job("exactly-once", "onnx"),
        build_job("exactly-once", "sql"),
        build_job("exactly-once", "spark"),
        build_job("exactly-once", "sql", decoder="python"),
        build_job("exactly-once", "spark", decoder="spark"),
        build_job("at-least-once", "spark"),
        build_job("exactly-once", "sklearn"),
        build_job("at-least-once", "sklearn"),
        build_job("exactly-once", "onnx", "executor"),
        build_job("exactly-once", "sql", "executor"),
        build_job("exactly-once", "spark", "executor"),
        build_job("exactly-once", "sklearn", "executor"),
        build_job("exactly-once", "onnx", extra="drift"),
        build_job("exactly-once", "onnx", "executor", extra="drift"),
        build_job("exactly-once", "sql", extra="drift"),
        build_job("exactly-once", "sklearn", extra="drift"),
        build_job("exactly-once", "onnx", extra="shadow"),
        _build_loop("sklearn"),
        _build_loop("onnx"),
        _build_framework(),
    )
}
