"""A running query takes another champion between two batches, and goes back to the old one."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from lib.exactly_once.checkpoint.makers import MakerLog
from lib.score.registry import BACKENDS
from lib.store import ModelStore
from lib.store.version import ModelVersion
from lib.stream.drift.files import DriftFiles
from lib.stream.model.serving import ModelKey
from lib.stream.watch.stop_signal import StopSignal
from lib.telemetry.monitor import Monitor
from lib.telemetry.state import State
from lib.waiting import wait_until
from tests.conftest import TopicFactory
from tests.end_to_end.jobs import Deployment, read_account
from tests.end_to_end.query import start_query
from tests.end_to_end.test_stream import RecordingView
from tests.support.topics import Record, build_customers, produce, read_topic

WAIT_S = 120.0
REAL_TIME = {
    "backend": "sql",
    "mode": "real-time",
    "delivery": "at-least-once",
    "real_time_batch": "5 seconds",
    "trigger": "500 milliseconds",
}
_WIDE = {"max.message.bytes": "2097152"}
_HINT = "restore the artefact or train a new version; never edit a saved one"


@pytest.fixture
def store(model_store: Path, tmp_path: Path) -> ModelStore:
    """Provide churn@1, the champion, and churn@2, which calls every customer a churner."""
    root = tmp_path / "models"
    shutil.copytree(model_store, root)
    store = ModelStore(root)
    store.save_again(
        store.resolve("churn@1"),
        threshold=0.0,
        origin={},
        now=datetime(2026, 1, 2, tzinfo=UTC),
        amend=lambda folder: None,
    )
    return store


class Feed:
    """Writes customers with ascending keys, and remembers all of them."""

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment
        self._pool = iter(build_customers(5_000, bad_share=0.02))
        self.records: list[Record] = []

    def send(self, count: int) -> None:
        some = [next(self._pool) for _ in range(count)]
        produce(self._deployment.bootstrap_servers, self._deployment.input_topic, some)
        self.records += some


@contextmanager
def running(
    spark: SparkSession, deployment: Deployment, monitor: Monitor, **options: Any
) -> Iterator[None]:
    """Let the query run on a thread within a block, and stop it as a signal does."""
    chosen = {"trigger": "50 milliseconds", "reload_interval": 0.1} | options
    settings = deployment.settings(**chosen)
    with StopSignal() as stop:
        stream = start_query(spark, settings, stop=stop, monitor=monitor)
        failures: list[BaseException] = []

        def follow() -> None:
            try:
                stream.follow(RecordingView(), stop)
            except BaseException as error:  # noqa: BLE001 - the test raises it
                failures.append(error)

        thread = threading.Thread(target=follow)
        thread.start()
        try:
            yield
        finally:
            stop.request("SIGTERM")
            thread.join(WAIT_S)
        assert failures == []
        assert not thread.is_alive()


def count_by_model(monitor: Monitor) -> dict[str, int]:
    counts: dict[str, int] = {}
    for (model, _), count in monitor.figures.count_predictions().items():
        counts[model] = counts.get(model, 0) + count
    return counts


@pytest.mark.parametrize(
    "options",
    [
        {"backend": "onnx", "drift": True},
        {"backend": "sklearn", "commit": "executor", "drift": True},
        {"backend": "sql"},
        {"backend": "sql", "delivery": "at-least-once"},
        REAL_TIME | {"drift": True},
    ],
    ids=lambda options: "-".join(map(str, options.values())),
)
def test_a_running_query_takes_a_new_champion_and_goes_back(
    spark: SparkSession,
    deployment: Deployment,
    topic: TopicFactory,
    store: ModelStore,
    options: dict[str, Any],
) -> None:
    # Real-time mode takes a task slot for each partition.
    deployment = replace(deployment, store=store.root, input_topic=topic(2, _WIDE))
    feed, monitor, engine = Feed(deployment), Monitor(is_on=True), options["backend"]
    first, second = f"churn@1/{engine}", f"churn@2/{engine}"

    def is_answered_by(model: str, at_least: int) -> bool:
        feed.send(10)
        time.sleep(0.1)
        return count_by_model(monitor).get(model, 0) >= at_least

    with running(spark, deployment, monitor, drift_sample=1, **options):
        assert wait_until(lambda: is_answered_by(first, 100), WAIT_S)
        store.promote("churn", 2)
        assert wait_until(lambda: is_answered_by(second, 100), WAIT_S)
        answered_by_first = count_by_model(monitor)[first]
        store.roll_back("churn")
        assert wait_until(lambda: is_answered_by(first, answered_by_first + 100), WAIT_S)
        assert wait_until(lambda: monitor.figures.tally.messages == len(feed.records), WAIT_S)

    account = read_account(deployment, feed.records)
    assert account.faults == {}
    keys = [
        it.key()
        for it in read_topic(deployment.bootstrap_servers, deployment.input_topic)
        if it.partition() == 0
    ]
    order = [account.predictions[it].model for it in keys if it in account.predictions]
    changes = [new for old, new in pairwise(order) if new != old]
    assert (order[0], changes) == (first, [second, first])
    by_second = [it for it in account.predictions.values() if it.model == second]
    assert {it.label for it in by_second} == {"Yes"}
    assert {it.label for it in account.predictions.values()} == {"Yes", "No"}
    assert not any(event.kind == "failure" for event in monitor.job.events)
    assert monitor.figures.restarts == {}
    log = MakerLog(spark, str(deployment.checkpoint))
    assert log.find(0) == ModelKey("churn@1", engine).to_text()
    assert log.find(10**6) == ModelKey("churn@1", engine).to_text()
    if options.get("drift"):
        # Each version has windows of its own, in which its predictions are counted once.
        folder = DriftFiles(spark, str(deployment.checkpoint))
        windows = [folder.find_open_window(), *folder.list_windows(9)]
        assert [it and it.model_version for it in windows] == [first, second, first]
        counted = [it.records for it in windows if it is not None]
        by_first = len(account.predictions) - len(by_second)
        assert (counted[0] + counted[2], counted[1]) == (by_first, len(by_second))


def test_a_version_that_cannot_be_used_is_refused_once_and_the_old_one_goes_on(
    spark: SparkSession,
    deployment: Deployment,
    store: ModelStore,
    caplog: pytest.LogCaptureFixture,
) -> None:
    deployment = replace(deployment, store=store.root)
    feed, monitor = Feed(deployment), Monitor(is_on=True)
    damaged = store.resolve("churn@2")
    _spoil(damaged)

    with running(spark, deployment, monitor, backend="onnx"):
        feed.send(50)
        assert wait_until(lambda: monitor.figures.tally.messages == 50, WAIT_S)
        _point_to(store, 2)
        assert wait_until(lambda: monitor.figures.refusal is not None, WAIT_S)
        feed.send(50)
        assert wait_until(lambda: monitor.figures.tally.messages == 100, WAIT_S)
        assert monitor.job.status.state is State.RUNNING
        refusal = monitor.figures.refusal

    assert refusal is not None
    assert refusal.model == "churn@2"
    assert BACKENDS["onnx"].artefact in refusal.reason
    assert monitor.figures.model_loads == {"loaded": 1, "refused": 1}
    told = [it for it in caplog.messages if "refused" in it]
    assert told == [f"churn@2 is refused, churn@1/onnx goes on scoring: {refusal.reason} ({_HINT})"]
    assert read_account(deployment, feed.records).faults == {}


def _spoil(version: ModelVersion) -> None:
    file = version.path / BACKENDS["onnx"].artefact
    content = file.read_bytes()
    file.unlink()  # both versions have it
    file.write_bytes(content + b"x")


def _point_to(store: ModelStore, number: int) -> None:
    """Make a version the champion as somebody does who writes the file."""
    (store.root / "churn" / "champion").write_text(f"{number}\n")
