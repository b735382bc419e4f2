"""Build the command of a program that runs in a peer's own environment."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmarks.course import Build, Course
from benchmarks.hand_loop import find_model
from benchmarks.peers.environments import find_python
from lib.setup.jars import JarSet, list_jars
from lib.setup.places import PROJECT_ROOT

PROGRAMS = Path(__file__).parent / "programs"
QUIX = "quix-streams"


def build_program(
    program: str,
    environment: str,
    kind: str,
    options: Sequence[str] = (),
    *,
    jars: bool = False,
    dead_letters: bool = False,
) -> Build:
    """Return the function that builds the command of a program.

    Args:
        program: the file of the program, in the folder ``programs``.
        environment: the name of its environment.
        kind: "sklearn" or "onnx", the artefact that the program gets.
        options: further arguments of the program.
        jars: whether the program gets the place of Spark's Kafka connector.
        dead_letters: whether the program gets the name of the topic of dead letters.
    """

    def build(course: Course) -> list[str]:
        model, threshold, _ = find_model(course.model, kind)
        python = str(find_python(environment))
        connector = [",".join(map(str, list_jars(JarSet.CONNECTOR)))] if jars else []
        return [
            *("env", f"PYTHONPATH={PROJECT_ROOT}", f"PYSPARK_PYTHON={python}"),
            *("OMP_NUM_THREADS=1", python, str(PROGRAMS / program)),
            *(
                course.cluster.bootstrap_servers,
                course.input_topic,
                course.output_topic,
                course.group,
            ),
            *(str(model), str(threshold), str(course.checkpoint)),
            *options,
            *connector,
            *([course.dead_letter_topic] if dead_letters else []),
        ]

    return build


def build_quix(guarantee: str, commit_interval_s: float) -> Build:
    """Return the function that builds the command of the program with Quix Streams.

    Args:
        guarantee: the processing guarantee, as Quix names it.
        commit_interval_s: the seconds from one commit to the next.
    """
    options = (guarantee, str(commit_interval_s))
    return build_program("quix_streams.py", QUIX, "onnx", options, dead_letters=True)
