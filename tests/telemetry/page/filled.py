"""Figures, a state and settings with which the page is tried; no Spark, no Kafka."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from lib.messages.tally import BOUNDS_S, Tally, Waits
from lib.settings.jobs.score_stream import ScoreStreamSettings
from lib.telemetry.figures import (
    Figures,
    Heap,
    Model,
    PartitionLag,
    ProcessUse,
    Program,
)
from lib.telemetry.outcomes import OutcomeReport, VersionQuality
from lib.telemetry.page.history import History
from lib.telemetry.page.snapshot import Facts
from lib.telemetry.progress import BatchProgress
from lib.telemetry.state import JobState, State
from lib.telemetry.web.page import serve_page
from lib.telemetry.web.server import WebServer

OUT, DEAD = "predictions", "dead-letters"
FACTS = Facts("scoring", {"input": "records", "predictions": OUT, "dead_letters": DEAD})


def build_settings(**settings: Any) -> ScoreStreamSettings:
    """Return the settings of a job whose page listens on a free port of this machine."""
    given = {
        "console": "127.0.0.1:0",
        "query_name": "scoring",
        "input_topic": "records",
        "output_topic": OUT,
        "dead_letter_topic": DEAD,
        "model": "m@champion",
    }
    return ScoreStreamSettings.model_validate(given | settings)


def build_figures(now_s: float) -> Figures:
    """Return the figures of a job that began an hour before some time and has written 1,000."""
    figures = Figures(
        output_topic=OUT,
        dead_letter_topic=DEAD,
        started_s=now_s - 3_600,
        program=Program("0.1.0", "0123456789ab", "4.2.0", "3.11.2"),
        model=Model("m@3/onnx", "onnx", 0.5, False, now_s - 1_800),
        processes={"driver": ProcessUse(100 * 2**20, 40.0, 1), "jvm": ProcessUse(2**30, 90.0, 1)},
        heap=Heap(200 * 2**20, 2**30),
        outcomes=OutcomeReport(
            now_s - 900,
            (VersionQuality("m@3", 900, 800, 0.1, 0.8, 0.78, 0.82, 0.15, 0.02, 0.81, False),),
        ),
    )
    add_records(figures, 990, 10)
    figures.add_batch(
        {"durationMs": {"triggerExecution": 400}},
        BatchProgress(0, 1_000, 990, 10, 2_500.0, 400, 0, 0),
    )
    figures.lag = {
        0: PartitionLag(500, 512, 512, now_s - 2),
        1: PartitionLag(488, 488, 488),
    }
    return figures


def add_records(figures: Figures, predictions: int, letters: int) -> None:
    """Add records that have waited between 100 and 250 ms."""
    counts = [0] * (len(BOUNDS_S) + 1)
    counts[BOUNDS_S.index(0.25)] = predictions + letters
    waits = Waits(tuple(counts), 0.2 * (predictions + letters))
    outcomes = {
        OUT: {
            "m@3/onnx\tYes": predictions // 3,
            "m@3/onnx\tNo": predictions - predictions // 3,
        }
    }
    newest = {}
    if letters:
        outcomes[DEAD] = {"missing:tenure": letters}
        newest[DEAD] = {"missing:tenure": (1, 487)}
    figures.add_tally(Tally(outcomes, waits, newest=newest), replayed=0)


def build_running() -> JobState:
    """Return the state of a job that runs."""
    job = JobState()
    for state in (State.STARTING, State.TAKING_OVER, State.RUNNING):
        job.enter(state)
    return job


@contextmanager
def served(
    figures: Figures, job: JobState, history: History | None = None, **settings: Any
) -> Iterator[WebServer]:
    """Serve the page of a job."""
    with serve_page(build_settings(**settings), figures, job, history) as server:
        yield server
