"""List the participants: the job, and what a team might choose instead."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.contestants import CONTESTANTS, Contestant, Course, build_job_command
from benchmarks.hand_loop import find_model
from benchmarks.peers.environments import find_python
from benchmarks.peers.lines import count_code_lines
from lib.settings.real_time import REAL_TIME
from lib.setup.jars import JarSet, list_jars
from lib.setup.places import PROJECT_ROOT

_BENCHMARKS = PROJECT_ROOT / "benchmarks"
_PROGRAMS = Path(__file__).parent / "programs"
_SCORER = _BENCHMARKS / "hand_scorer.py"

ALL_RECORDS = sys.maxsize
#: One call for each record leaves time for this many: a topic that takes half a minute.
FEW_RECORDS = 3_000
FEW_RECORDS_A_SECOND = 50.0
_SOME_RECORDS = 100_000

Build = Callable[[Course], list[str]]


@dataclass(frozen=True)
class Peer:
    """A peer, which is one row of the table.

    Attributes:
        contestant: the contestant that drains a topic, with the peer's name, guarantee and model.
        build_server: a function that returns program and arguments; the program answers as soon as
            it can, until it is told to stop.
        drains: whether its rate is measured; real-time mode is not made for backlogs.
        sources: the files that its user has written.
        environment: the name of its environment; None where it needs none.
        package: the package whose version is reported, in that environment.
        most_records: the largest number of records in its topic.
        most_rate: the highest number of records per second for measuring its latency.
    """

    contestant: Contestant
    build_server: Build
    drains: bool = True
    sources: tuple[Path, ...] = ()
    environment: str | None = None
    package: str | None = None
    most_records: int = ALL_RECORDS
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
    usual = CONTESTANTS[f"hand-loop/{kind}"]

    def build_drain(course: Course) -> list[str]:
        return [*usual.build_command(course), "--processes", str(processes)]

    def build_server(course: Course) -> list[str]:
        return [*build_drain(course), "--endless", "--patience-s", "0.02"]

    contestant = Contestant(
        f"hand-written loop/{kind}/{processes}", usual.guarantee, kind, build_drain
    )
    return Peer(contestant, build_server, sources=(_BENCHMARKS / "hand_loop.py", _SCORER))


def _build_program(
    name: str,
    guarantee: str,
    kind: str,
    environment: str,
    program: str,
    *,
    package: str,
    drain_options: Sequence[str] = (),
    server_options: Sequence[str] = (),
    jars: bool = False,
    uses_scorer: bool = True,
    most_records: int = ALL_RECORDS,
    most_rate: float = float("inf"),
) -> Peer:
    """Return a program of this folder, in its own environment.

    Args:
        name: the name of the contestant.
        guarantee: the guarantee for its output.
        kind: "sklearn" or "onnx", the artefact that the program gets.
        environment: the name of its environment.
        program: the program's file.
        package: the package of the tool.
        drain_options: the options for the highest rate.
        server_options: the options for short latencies.
        jars: whether the program gets the place of Spark's Kafka connector.
        uses_scorer: whether ``hand_scorer.py`` is part of the program.
        most_records: see :class:`Peer`.
        most_rate: see :class:`Peer`.
    """
    path = _PROGRAMS / program

    def build(course: Course, options: Sequence[str]) -> list[str]:
        model, threshold, _ = find_model(course.model, kind)
        python = str(find_python(environment))
        connector = [",".join(map(str, list_jars(JarSet.CONNECTOR)))] if jars else []
        return [
            *("env", f"PYTHONPATH={PROJECT_ROOT}", f"PYSPARK_PYTHON={python}"),
            *("OMP_NUM_THREADS=1", python, str(path)),
            *(
                course.cluster.bootstrap_servers,
                course.input_topic,
                course.output_topic,
                course.group,
            ),
            *(str(model), str(threshold), str(course.checkpoint)),
            *(*options, *connector),
        ]

    contestant = Contestant(
        name, guarantee, kind, lambda course: build(course, drain_options), is_endless=True
    )
    return Peer(
        contestant,
        lambda course: build(course, server_options),
        sources=(path, _SCORER) if uses_scorer else (path,),
        environment=environment,
        package=package,
        most_records=most_records,
        most_rate=most_rate,
    )


def _build_quix(guarantee: str) -> Peer:
    return _build_program(
        f"quix-streams/{guarantee}",
        guarantee,
        "onnx",
        "quix-streams",
        "quix_streams.py",
        package="quixstreams",
        # These are the seconds between commits.
        drain_options=(guarantee, "1.0"),
        server_options=(guarantee, "0.1"),
        most_records=_SOME_RECORDS,
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
        _build_program(
            RECORD_BY_RECORD,
            "at-least-once",
            "sklearn",
            "record-by-record",
            "record_by_record.py",
            package="confluent-kafka",
            most_records=FEW_RECORDS,
            most_rate=FEW_RECORDS_A_SECOND,
        ),
        _build_quix("at-least-once"),
        _build_quix("exactly-once"),
        _build_program(
            "mlflow-spark-udf",
            "at-least-once",
            "sklearn",
            "mlflow",
            "mlflow_spark_udf.py",
            package="mlflow-skinny",
            jars=True,
            uses_scorer=False,
        ),
        _build_program(
            "bytewax", "at-least-once", "onnx", "bytewax", "bytewax_flow.py", package="bytewax"
        ),
        _build_program(
            "faust",
            "at-least-once",
            "onnx",
            "faust",
            "faust_agent.py",
            package="faust-streaming",
            most_records=_SOME_RECORDS,
        ),
    )
}
