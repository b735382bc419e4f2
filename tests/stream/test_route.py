"""Every combination of settings has the expected decoder, scorer and committer."""

from __future__ import annotations

from itertools import product
from typing import Any, get_args

import pytest

from lib.score.registry import BACKENDS
from lib.settings.base import DecoderChoice
from lib.settings.jobs.replay import ReplaySettings
from lib.settings.jobs.score_stream import ScoreStreamSettings
from lib.stream.route import Route, find_route

JVM, WORKERS = "jvm", "workers"
# Backend that really scores, decoder → who decodes: on this machine, on a cluster, in real time.
DECODERS = {
    ("onnx", "auto"): (WORKERS, WORKERS, WORKERS),
    ("onnx", "spark"): (WORKERS, WORKERS, WORKERS),
    ("onnx", "python"): (WORKERS, WORKERS, WORKERS),
    ("sklearn", "auto"): (WORKERS, WORKERS, WORKERS),
    ("sklearn", "spark"): (WORKERS, WORKERS, WORKERS),
    ("sklearn", "python"): (WORKERS, WORKERS, WORKERS),
    ("sql", "auto"): (JVM, JVM, JVM),
    ("sql", "spark"): (JVM, JVM, JVM),
    ("sql", "python"): (WORKERS, WORKERS, WORKERS),
    ("spark", "auto"): (WORKERS, JVM, JVM),
    ("spark", "spark"): (JVM, JVM, JVM),
    ("spark", "python"): (WORKERS, WORKERS, WORKERS),
}
PLACES = (
    {"is_local": True, "is_real_time": False},
    {"is_local": False, "is_real_time": False},
    {"is_local": True, "is_real_time": True},
)
SCORES = {"onnx": WORKERS, "sklearn": WORKERS, "sql": JVM, "spark": JVM}


def find(backend: str, **facts: Any) -> Route:
    kind = BACKENDS[backend]
    return find_route(is_native=kind.is_native, workers_decode=kind.workers_decode, **facts)


@pytest.mark.parametrize("committer", ["driver", "executor", "spark"])
@pytest.mark.parametrize(("backend", "decoder"), DECODERS)
def test_each_combination_has_its_route(backend: str, decoder: str, committer: str) -> None:
    found = [find(backend, decoder=decoder, committer=committer, **place) for place in PLACES]

    assert tuple(route.decode for route in found) == DECODERS[backend, decoder]
    assert {route.score for route in found} == {SCORES[backend]}
    assert {route.commit for route in found} == {committer}


def test_the_table_lists_every_backend_and_every_decoder() -> None:
    assert set(DECODERS) == set(product(BACKENDS, get_args(DecoderChoice)))


def test_a_model_that_fell_back_goes_through_workers() -> None:
    for decoder, place in product(get_args(DecoderChoice), PLACES):
        found = find_route(
            is_native=False, workers_decode=True, decoder=decoder, committer="driver", **place
        )
        assert (found.decode, found.score) == (WORKERS, WORKERS)


@pytest.mark.parametrize(
    ("backend", "decoder", "place", "why"),
    [
        ("onnx", "spark", 0, "the model scores in Python workers"),
        ("spark", "auto", 0, "Python workers decode faster"),
        ("spark", "auto", 1, "executors may have no Python"),
        ("spark", "auto", 2, "real-time mode has no Python workers"),
        ("sql", "auto", 0, "the backend needs no Python"),
        ("sql", "python", 0, "--decoder python"),
    ],
)
def test_a_route_says_why(backend: str, decoder: str, place: int, why: str) -> None:
    assert find(backend, decoder=decoder, committer="driver", **PLACES[place]).why == why


@pytest.mark.parametrize(
    ("route", "has_workers"),
    [
        (Route("jvm", "jvm", "driver", ""), False),
        (Route("workers", "jvm", "driver", ""), True),
        (Route("workers", "workers", "driver", ""), True),
    ],
)
def test_a_route_knows_whether_there_are_workers(route: Route, *, has_workers: bool) -> None:
    assert route.has_workers is has_workers


@pytest.mark.parametrize(
    ("options", "committer"),
    [
        ({}, "driver"),
        ({"commit": "executor"}, "executor"),
        ({"delivery": "at-least-once"}, "spark"),
        ({"delivery": "at-least-once", "commit": "executor"}, "spark"),
        ({"delivery": "at-least-once", "mode": "real-time"}, "spark"),
    ],
)
def test_the_settings_say_who_commits(options: dict[str, Any], committer: str) -> None:
    assert ScoreStreamSettings(**options).committer == committer


def test_files_are_committed_by_spark() -> None:
    replay = ReplaySettings(input=["in"], output="out")

    assert (replay.committer, replay.is_real_time) == ("spark", False)
