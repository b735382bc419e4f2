"""A real Prometheus scrapes the real endpoint: alerts fire and end, and each query has data."""

from __future__ import annotations

import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from starlette.routing import Route

from lib.address import Address
from lib.drift.judgement import Drift
from lib.messages.tally import Tally, Waits
from lib.telemetry.brake import BrakeState
from lib.telemetry.figures import (
    DriftFigures,
    Figures,
    Heap,
    Model,
    PartitionLag,
    ProcessUse,
    Program,
    Refusal,
)
from lib.telemetry.metrics import METRICS, PREFIX
from lib.telemetry.outcomes import OutcomeReport, VersionQuality
from lib.telemetry.progress import BatchProgress
from lib.telemetry.state import JobState, State
from lib.telemetry.web.health import list_routes
from lib.telemetry.web.server import WebServer
from tests.docs.documents import Block, iter_blocks
from tests.support.prometheus import Prometheus, find_program, list_panel_queries, start_prometheus
from tests.support.waiting import wait_until

find_program("prometheus")
QUERIES = tuple(iter_blocks("docs/monitoring.md", "promql"))
_TICK_S = 0.1
# The metrics that a job which is well does not have.
_IN_TROUBLE = {"scoring_refused_model_info"}
_WEEK_S = 7 * 86_400
_EVENT = {"durationMs": {"addBatch": 80, "walCommit": 10, "triggerExecution": 100}}
_BATCH = BatchProgress(0, 100, 100, 0, 1_000.0, 100, 0)


def _tell_outcomes(*, is_below: bool) -> OutcomeReport:
    """Build a report of outcomes with all figures of one version."""
    figures = (0.7, 0.68, 0.72, 0.15, 0.02, 0.8)
    quality = VersionQuality("m@3", 1_000, 900, 0.1, *figures, is_below)
    return OutcomeReport(time.time(), (quality,))


class Process:
    """The figures and the endpoint of a job that is well, until a test changes something.

    Attributes:
        figures, job: the figures and the state that are served.
        wait_s: the seconds for which a record waits for its answer.
        rejected: the number of dead letters in each batch of 100.
        open_from: the offset at which a transaction hangs; None for none.
        oldest_s: the timestamp of a record that gets no answer; None while all are answered.
    """

    def __init__(self) -> None:
        self.figures = Figures(
            output_topic="out",
            dead_letter_topic="dead",
            program=Program("0.1.0", "abc", "4.2.0", "3.11.7"),
            model=Model("m@3/onnx", "onnx", 0.5, is_fallback=False, since_s=time.time()),
            model_loads=Counter(loaded=1),
            shadow_topic="shadows",
            challenger="m@4/onnx",
            challenger_share=0.1,
            shadows=("m@5/onnx",),
            client_errors=Counter(_TRANSPORT=1),
            processes={"jvm": ProcessUse(1_000, 0.0, 1)},
            heap=Heap(100, 200),
            offsets_expire_s=time.time() + _WEEK_S,
            drift=_drift(0.0),
            brake=BrakeState(0.01, 0.2, 1_000, stops=False, is_engaged=False),
            outcomes=_tell_outcomes(is_below=False),
        )
        # One dead letter, so that each panel has a series from the start.
        self.figures.add_tally(Tally({"dead": {"missing:age": 1}}), 0)
        self.job = JobState()
        self.job.enter(State.RUNNING)
        self.wait_s = 0.2
        self.rejected = 0
        self.open_from: int | None = None
        self.oldest_s: float | None = None
        self._end = 0
        self._server = WebServer("--metrics", Address("127.0.0.1", 0), self._routes)
        self.address = self._server.address
        self._server.__enter__()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._work)
        self._thread.start()

    @property
    def _routes(self) -> list[Route]:
        return list_routes(self.figures, self.job)

    def end(self) -> None:
        """Serve nothing more."""
        self._server.__exit__(None, None, None)

    def begin(self) -> None:
        """Serve again at the same address."""
        self._server = WebServer("--metrics", self.address, self._routes)
        self._server.__enter__()

    def close(self) -> None:
        """End the thread and the endpoint."""
        self._stopped.set()
        self._thread.join()
        self.end()

    def _work(self) -> None:
        """Answer 100 records ten times a second."""
        while not self._stopped.wait(_TICK_S):
            now_ms = time.time() * 1_000
            waits = Waits.measure(np.full(100, now_ms - self.wait_s * 1_000, np.int64), now_ms)
            outcomes = {
                "out": {"m@1/onnx\tYes": 40, "m@1/onnx\tNo": 60 - self.rejected},
                "dead": {"missing:age": self.rejected} if self.rejected else {},
                # One of a thousand is not too many.
                "shadows": {"m@5/onnx\tagrees\tNo": 999, "m@5/onnx\terror\tKeyError": 1},
            }
            self._end += 100
            stable = self._end if self.open_from is None else self.open_from
            answered = stable if self.oldest_s is None else self._end - 100
            with self.figures.changing():
                self.figures.add_tally(Tally(outcomes, waits, waits), 0)
                self.figures.add_batch(_EVENT, _BATCH)
                self.figures.lag[0] = PartitionLag(answered, stable, self._end, self.oldest_s)


@pytest.fixture(scope="module")
def process() -> Iterator[Process]:
    found = Process()
    yield found
    found.close()


@pytest.fixture(scope="module")
def prometheus(process: Process, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    folder: Path = tmp_path_factory.mktemp("prometheus")
    with start_prometheus({"scoring": [process.address]}, folder) as found:
        yield found


@dataclass(frozen=True)
class Condition:
    """Something that happens to the job.

    Attributes:
        alert: the alert that must fire.
        cause: a function that brings it about.
        undo: a function that ends it.
    """

    alert: str
    cause: Callable[[Process], object]
    undo: Callable[[Process], object]


def _set(name: str, value: Callable[[], object]) -> Callable[[Process], None]:
    return lambda it: setattr(it.figures, name, value())


def _swap(*, is_fallback: bool) -> Callable[[Process], None]:
    def swap(it: Process) -> None:
        assert it.figures.model is not None
        it.figures.model = replace(it.figures.model, is_fallback=is_fallback)

    return swap


def _drift(psi: float) -> DriftFigures:
    found = Drift("age", psi, 0.2, 0.0, 0.01, ("≤ 30", "> 30"), (0.5, 0.5), (0.9, 0.1))
    return DriftFigures("m@3/onnx", time.time(), 1_000, (found,), time.time(), 10)


def _brake(*, is_engaged: bool) -> Callable[[Process], None]:
    def change(it: Process) -> None:
        assert it.figures.brake is not None
        it.figures.brake = replace(it.figures.brake, is_engaged=is_engaged)

    return change


CONDITIONS = (
    Condition("ScoringDrift", _set("drift", lambda: _drift(0.7)), _set("drift", lambda: _drift(0))),
    Condition(
        "ScoringRestarts",
        lambda it: it.figures.restarts.update(QueryFailedError=3, BatchTimeoutError=1),
        lambda it: None,  # an hour without restarts
    ),
    Condition("ScoringFenced", _set("fenced", lambda: 1), _set("fenced", lambda: 0)),
    Condition("ScoringFallbackEngine", _swap(is_fallback=True), _swap(is_fallback=False)),
    Condition(
        "ScoringModelRefused",
        _set("refusal", lambda: Refusal("churn@8", "no such version", time.time())),
        _set("refusal", lambda: None),
    ),
    Condition(
        "ScoringShadowErrors",
        _set("spare_batches", lambda: 1),
        lambda it: None,  # ten minutes without such a batch
    ),
    Condition("ScoringBrake", _brake(is_engaged=True), _brake(is_engaged=False)),
    Condition("ScoringBrokersAway", _set("outage_s", lambda: 61.0), _set("outage_s", lambda: 0.0)),
    Condition(
        "ScoringOffsetsNearExpiry",
        _set("offsets_expire_s", lambda: time.time() + 3_600),
        _set("offsets_expire_s", lambda: time.time() + _WEEK_S),
    ),
    Condition(
        "ScoringQualityLow",
        _set("outcomes", lambda: _tell_outcomes(is_below=True)),
        _set("outcomes", lambda: _tell_outcomes(is_below=False)),
    ),
    Condition(
        "ScoringDeadLetters",
        lambda it: setattr(it, "rejected", 5),
        lambda it: setattr(it, "rejected", 0),
    ),
    Condition(
        "ScoringInputHeldBack",
        lambda it: setattr(it, "open_from", it.figures.lag[0].end),
        lambda it: setattr(it, "open_from", None),
    ),
    Condition(
        "ScoringLatencyHigh",
        lambda it: setattr(it, "wait_s", 100.0),
        lambda it: setattr(it, "wait_s", 0.2),
    ),
    Condition(
        "ScoringLagGrows",
        lambda it: setattr(it, "oldest_s", time.time() - 100),
        lambda it: setattr(it, "oldest_s", None),
    ),
    Condition(
        "ScoringNotReady",
        lambda it: it.job.enter(State.RESTARTING, "a batch hangs"),
        lambda it: it.job.enter(State.RUNNING),
    ),
    Condition("ScoringDown", Process.end, Process.begin),
)


def test_each_alert_fires_alone_and_ends(process: Process, prometheus: Prometheus) -> None:
    wait_until(lambda: bool(prometheus.query("scoring_records_total > 0")))
    # Before the first scrape there is none of the job.
    wait_until(lambda: not prometheus.find_firing())

    ending: set[str] = set()
    for condition in CONDITIONS:
        condition.cause(process)
        wait_until(lambda alert=condition.alert: alert in prometheus.find_firing(), 30)  # type: ignore[misc]
        ending &= prometheus.find_firing()
        assert prometheus.find_firing() <= ending | {condition.alert}
        condition.undo(process)
        ending.add(condition.alert)

    wait_until(lambda: not prometheus.find_firing(), 60)


def test_each_metric_is_scraped(prometheus: Prometheus) -> None:
    found = {
        re.sub("_(bucket|sum|count)$", "", sample.labels["__name__"])
        for sample in prometheus.query('group by (__name__) ({__name__=~"scoring_.+"})')
    }

    assert found | _IN_TROUBLE == {PREFIX + spec.name for spec in METRICS}


@pytest.mark.parametrize(("panel", "expression"), list_panel_queries())
def test_a_panel_has_data(panel: str, expression: str, prometheus: Prometheus) -> None:
    # On a loaded machine a scrape may fail, and the next one does not.
    wait_until(lambda: bool(prometheus.query(expression)), 10)


@pytest.mark.parametrize("block", QUERIES, ids=lambda block: block.place)
def test_a_query_of_the_documents_has_data(block: Block, prometheus: Prometheus) -> None:
    query = re.sub(r"\d+[mhd]\b", "5s", block.text)

    wait_until(lambda: bool(prometheus.query(query)), 10)
