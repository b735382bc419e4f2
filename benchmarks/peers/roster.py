"""List the participants: the job, and what a team might choose instead."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.contestants import (
    ALL_RECORDS,
    CONTESTANTS,
    QUIX_COMMIT_INTERVAL_S,
    SOME_RECORDS,
    Contestant,
    build_job_command,
    build_loop_command,
)
from benchmarks.course import Build, Course
from benchmarks.peers.commands import PROGRAMS, QUIX, build_program, build_quix
from benchmarks.peers.lines import count_code_lines
from lib.settings.real_time import REAL_TIME
from lib.setup.places import PROJECT_ROOT

_BENCHMARKS = PROJECT_ROOT / "benchmarks"
_SCORER = _BENCHMARKS / "hand_scorer.py"

#: One call for each record leaves time for this many: a topic that takes half a minute.
FEW_RECORDS = 3_000
FEW_RECORDS_A_SECOND = 50.0
_DRAIN_COMMIT_INTERVAL_S = 1.0


@dataclass(frozen=True)
class Peer:
    """A peer, which is one row of the table.

    Attributes:
        contestant: the contestant that drains a topic, with the peer's name, guarantee and model,
            and its environment, if it needs one.
        build_server: a function that returns program and arguments; the program answers as soon as
            it can, until it is told to stop.
        drains: whether its rate is measured; real-time mode is not made for backlogs.
        sources: the files that its user has written.
        most_rate: the highest number of records per second for measuring its latency.
    """

    contestant: Contestant
    build_server: Build
    drains: bool = True
    sources: tuple[Path, ...] = ()
    most_rate: float = float("inf")

    @property
    def name(self) -> str:
        """The peer's name, as ``--only`` takes it."""
        return self.contestant.name

    def count_lines(self) -> int:
        """Count the lines of code that its user has written; the job takes options and no code."""
        return sum(count_code_lines(source.read_text()) for source in self.sources)


def _build_job(backend: str, options: Mapping[str, str], place: str = "") -> Peer:
    drain = CONTESTANTS[f"exactly-once/{backend}"]
    guarantee = options["--delivery"]

    def build_server(course: Course) -> list[str]:
        return build_job_command(course, {"--backend": backend, **options})

    name = f"job/{backend}{place}"
    contestant = replace(drain, name=name, guarantee=guarantee, backend=backend)
    return Peer(contestant, build_server, drains=not place)


_MICRO_BATCH = {"--delivery": "exactly-once", "--trigger": "0 seconds"}
_REAL_TIME = {"--delivery": "at-least-once", "--mode": REAL_TIME}


def _build_loop(kind: str, processes: int) -> Peer:
    contestant = Contestant(
        f"hand-written loop/{kind}/{processes}",
        CONTESTANTS[f"hand-loop/{kind}"].guarantee,
        kind,
        lambda course: build_loop_command(course, kind, processes=processes),
    )

    def build_server(course: Course) -> list[str]:
        return build_loop_command(course, kind, ("--endless", "--patience-s", "0.02"), processes)

    return Peer(contestant, build_server, sources=(_BENCHMARKS / "hand_loop.py", _SCORER))


def _build_tool(
    name: str,
    kind: str,
    program: str,
    *,
    package: str,
    jars: bool = False,
    uses_scorer: bool = True,
    most_records: int = ALL_RECORDS,
    most_rate: float = float("inf"),
) -> Peer:
    """Return a program that is at least once, in an environment of its own.

    Args:
        name: the name of the contestant and of its environment.
        kind: "sklearn" or "onnx", the artefact that the program gets.
        program: the program's file.
        package: the package of the tool.
        jars: whether the program gets the place of Spark's Kafka connector.
        uses_scorer: whether ``hand_scorer.py`` is part of the program.
        most_records: see :class:`benchmarks.contestants.Contestant`.
        most_rate: see :class:`Peer`.
    """
    build, path = build_program(program, name, kind, jars=jars), PROGRAMS / program
    contestant = Contestant(
        name,
        "at-least-once",
        kind,
        build,
        is_endless=True,
        most_records=most_records,
        environment=name,
        package=package,
    )
    sources = (path, _SCORER) if uses_scorer else (path,)
    return Peer(contestant, build, sources=sources, most_rate=most_rate)


def _build_quix(guarantee: str) -> Peer:
    contestant = replace(
        CONTESTANTS[QUIX],
        name=f"{QUIX}/{guarantee}",
        guarantee=guarantee,
        backend="onnx",
        build_command=build_quix(guarantee, _DRAIN_COMMIT_INTERVAL_S),
    )
    return Peer(
        contestant,
        build_quix(guarantee, QUIX_COMMIT_INTERVAL_S),
        sources=(PROGRAMS / "quix_streams.py", _BENCHMARKS / "hand_checks.py", _SCORER),
    )


RECORD_BY_RECORD = "record-by-record"

PEERS: Mapping[str, Peer] = {
    peer.name: peer
    for peer in (
        _build_job("onnx", _MICRO_BATCH),
        _build_job("sql", _MICRO_BATCH),
        _build_job("sklearn", _MICRO_BATCH),
        _build_job("sql", _REAL_TIME, "/real-time"),
        *(_build_loop(kind, processes) for kind in ("sklearn", "onnx") for processes in (1, 2)),
        _build_tool(
            RECORD_BY_RECORD,
            "sklearn",
            "record_by_record.py",
            package="confluent-kafka",
            most_records=FEW_RECORDS,
            most_rate=FEW_RECORDS_A_SECOND,
        ),
        _build_quix("at-least-once"),
        _build_quix("exactly-once"),
        _build_tool(
            "mlflow-spark-udf",
            "sklearn",
            "mlflow_spark_udf.py",
            package="mlflow-skinny",
            jars=True,
            uses_scorer=False,
        ),
        _build_tool("bytewax", "onnx", "bytewax_flow.py", package="bytewax"),
        _build_tool(
            "faust",
            "onnx",
            "faust_agent.py",
            package="faust-streaming",
            most_records=SOME_RECORDS,
        ),
    )
}
