"""Ten situations can be seen on the page, in the metrics and among the alerts."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest
from confluent_kafka import Producer
from playwright.sync_api import Browser, Error, Page, expect

from lib.address import Address
from lib.kafka.cluster import Cluster
from lib.kafka.topics import create_topics
from lib.store import ModelStore
from lib.tools.broker import EmbeddedBroker
from lib.tools.broker.ports import pick_free_ports
from lib.tools.drift.reading import open_folder
from lib.waiting import wait_until
from tests.end_to_end.jobs import Deployment, read_account, start_job
from tests.support.process import find_workers
from tests.support.prometheus import Prometheus, start_prometheus
from tests.support.records import record
from tests.support.stored_models import provide_store
from tests.support.topics import Record, build_customers, produce, read_topic
from tests.telemetry.page.browser import CHROMIUM, open_browser
from tests.telemetry.test_outcomes import publish, tell

pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="the page is tried in Chromium: apt-get install chromium"
)

# A loaded machine takes several times as long as an idle one.
WAIT_S = 90.0
TEN_MINUTES_MS = 600_000


@dataclass
class Desk:
    """The page, the metrics and the alerts of a job.

    Attributes:
        page: the page of the job in a browser, which stays open.
        prometheus: the Prometheus that scrapes the job.
    """

    page: Page
    prometheus: Prometheus

    def await_page(self, place: str, text: str | re.Pattern[str]) -> None:
        """Wait until a place of the page holds a text."""
        expect(self.page.locator(place)).to_contain_text(text, timeout=WAIT_S * 1_000)

    def await_metric(self, expression: str) -> None:
        """Wait until a condition on the metrics holds."""
        is_met = wait_until(lambda: bool(self.prometheus.query(expression)), WAIT_S)
        assert is_met, (expression, self._describe())

    def await_alert(self, name: str) -> None:
        """Wait until an alert fires."""
        fires = wait_until(lambda: name in self.prometheus.find_firing(), WAIT_S)
        assert fires, (name, self._describe())

    def await_quiet(self) -> None:
        """Wait until the job is ready and no alert says that it does not work."""
        urgent = {"ScoringDown", "ScoringNotReady"}
        self.await_metric("scoring_ready == 1")
        is_quiet = wait_until(lambda: not urgent & self.prometheus.find_firing(), WAIT_S)
        assert is_quiet, self._describe()

    def _describe(self) -> str:
        """Describe what is known, for a test that fails."""
        values = self.prometheus.query('{__name__=~"up|scoring_(lag|state|held|fenced|records).*"}')
        listed = "\n".join(f"{dict(it.labels)} {it.value}" for it in values)
        firing, words = self.prometheus.find_firing(), self.page.locator("#words").inner_text()
        return f"page: {words}\nfiring: {firing}\n{listed}"


@contextmanager
def open_desk(browser: Browser, metrics: Address, console: Address, folder: Path) -> Iterator[Desk]:
    context = browser.new_context(reduced_motion="reduce")
    with start_prometheus({"scoring": [metrics]}, folder) as prometheus:
        try:
            page = context.new_page()
            assert wait_until(lambda: opens(page, f"http://{console}/"), WAIT_S)
            yield Desk(page, prometheus)
        finally:
            context.close()


def opens(page: Page, url: str) -> bool:
    """Tell whether a page can be opened: the job may not listen yet."""
    with suppress(Error):
        page.goto(url)
        return True
    return False


def stop(job: subprocess.Popen[str]) -> None:
    """End a job as a supervisor does, and wait for it."""
    os.killpg(job.pid, signal.SIGTERM)
    job.wait(WAIT_S)


def leave_only_an_old_spark_model(version: Path) -> None:
    """Leave to a version, beside scikit-learn's model, one that another Spark has saved."""
    path = version / "metadata.json"
    metadata = json.loads(path.read_text())
    for name in ("pipeline.onnx", "probability.sql"):
        (version / name).unlink()
        del metadata["artefacts"][name]
    metadata["libraries"]["pyspark"] = "3.5.0"
    path.write_text(json.dumps(metadata))


def build_shifted(count: int) -> list[Record]:
    """Return customers who all pay by mailed check."""
    drawn = [(key, json.loads(value or b"")) for key, value in build_customers(count, seed=8)]
    return [
        (b"shifted-" + key, json.dumps(fields | {"PaymentMethod": "Mailed check"}).encode())
        for key, fields in drawn
    ]


@pytest.fixture
def forgetful_broker() -> Iterator[EmbeddedBroker]:
    """Start a broker that forgets offsets within an hour, which one test may suspend."""
    with EmbeddedBroker({"offsets.retention.minutes": "60"}) as running:
        yield running


@pytest.mark.timeout(900)
def test_ten_situations_are_on_the_page_in_the_metrics_and_among_the_alerts(
    forgetful_broker: EmbeddedBroker, tmp_path: Path
) -> None:
    servers = forgetful_broker.bootstrap_servers
    create_topics(Cluster(servers), dict.fromkeys(("in", "out", "dead"), 1))
    store, checkpoint = tmp_path / "models", tmp_path / "checkpoint"
    shutil.copytree(provide_store(), store)
    ModelStore(store).promote("churn", 1)
    deployment = Deployment(servers, "in", "out", "dead", store, checkpoint, "watched")
    metrics, console = (Address("127.0.0.1", port) for port in pick_free_ports(2))
    sent: list[Record] = []
    few = build_customers(5, seed=9)

    def send(records: list[Record], timestamp: int = 0) -> None:
        sent.extend(records)
        produce(servers, "in", records, timestamp)

    @contextmanager
    def start(**options: Any) -> Iterator[subprocess.Popen[str]]:
        arguments = deployment.arguments(
            metrics=str(metrics), console=str(console), **{"trigger": "200 milliseconds", **options}
        )
        arguments += ["--drift", "--drift-sample", "1", "--drift-window-records", "500"]
        with (tmp_path / "job.log").open("ab") as log, start_job(arguments, output=log) as job:
            yield job

    publish(tmp_path / "outcomes", 1, tell("churn@1"))
    (tmp_path / "prometheus").mkdir()
    with (
        open_browser() as browser,
        start(
            backend="sql",
            trigger="60 seconds",
            max_offsets_per_trigger=50,
            outcomes=tmp_path / "outcomes",
        ) as job,
        open_desk(browser, metrics, console, tmp_path / "prometheus") as desk,
    ):
        # 1. A backlog: the job answers 50 records a minute.
        send(build_customers(450), int(time.time() * 1_000) - TEN_MINUTES_MS)
        send(build_customers(50, seed=2))
        desk.await_page("#lag", "records")
        desk.await_metric("scoring_lag_records >= 400 and scoring_lag_seconds > 590")
        desk.await_alert("ScoringLagGrows")

        # Offsets that are forgotten within an hour are always near their end.
        desk.await_alert("ScoringOffsetsNearExpiry")

        # Outcomes that fall short of the training.
        desk.await_page("#quality-table", "churn@1")
        desk.await_page("#verdict", "Predictions of churn@1 are worse than in its training")
        desk.await_metric('scoring_outcomes_below_training{version="churn@1"} == 1')
        desk.await_alert("ScoringQualityLow")

        # 2. A kill, after which it starts again, and counts what it answers itself.
        os.killpg(job.pid, signal.SIGKILL)
        answered = len(read_topic(servers, "out"))
        desk.await_alert("ScoringDown")
        desk.await_page("#words", "The job does not answer.")
        assert desk.prometheus.query("up == 0")

        brake = {"max_dead_letter_share": 0.3, "over": 50, "brake": "alert"}
        with start(backend="sql", **brake) as job:
            desk.await_quiet()
            desk.await_metric("scoring_lag_records == 0")
            desk.await_metric(f"sum(scoring_records_total) == {500 - answered}")
            desk.await_page("#model", "churn@1/sql")

            # Answers that come late.
            number = 0
            while "ScoringLatencyHigh" not in desk.prometheus.find_firing():
                number += 1
                assert number < 100
                late = [(f"late-{number}-{key.decode()}".encode(), value) for key, value in few]
                send(late, int(time.time() * 1_000) - TEN_MINUTES_MS)
                time.sleep(0.5)

            # 3. Dead letters.
            send([(f"bad-{it}".encode(), record(Contract="Weekly")) for it in range(40)])
            desk.await_metric(
                'scoring_dead_letters_total{rule="not_allowed",field="Contract"} == 40'
            )
            desk.await_page("#letters-table", "Contract")
            desk.await_alert("ScoringDeadLetters")
            desk.await_page("#brake", "Brake: alerts above 30.0 % of the last 50 records; now")
            desk.await_page("#words", "The brake finds too many dead letters")
            desk.await_metric('scoring_brake_engaged{action="alert"} == 1')
            desk.await_alert("ScoringBrake")

            # Customers who pay in another way than those of the training.
            send(build_shifted(1_200))
            desk.await_metric('scoring_drift_psi{feature="PaymentMethod"} > 0.5')
            desk.await_page("#drift-table", "PaymentMethod – drifted")
            desk.await_page("#events", "Feature PaymentMethod has drifted")
            desk.await_alert("ScoringDrift")
            assert "drift: Feature PaymentMethod has drifted" in (tmp_path / "job.log").read_text()

            # 4. A transaction upstream that does not end.
            upstream = Producer({"bootstrap.servers": servers, "transactional.id": "upstream"})
            upstream.init_transactions(30)
            upstream.begin_transaction()
            held = build_customers(20, seed=4)
            for key, value in held:
                upstream.produce("in", key=key, value=value)
            upstream.flush(30)
            desk.await_metric("scoring_held_back_records == 20 and scoring_lag_records == 20")
            desk.await_page("#partitions", "20")
            desk.await_alert("ScoringInputHeldBack")
            upstream.commit_transaction(30)
            sent.extend(held)
            desk.await_metric("scoring_held_back_records == 0 and scoring_lag_records <= 1")

            # 5. The broker is away.
            assert forgetful_broker.pid is not None
            broker = psutil.Process(forgetful_broker.pid)
            broker.suspend()
            try:
                desk.await_metric("scoring_brokers_away_seconds > 0")
                desk.await_page("#verdict", "No broker has answered for")
                desk.await_alert("ScoringNotReady")
                desk.await_alert("ScoringBrokersAway")  # after a minute
            finally:
                broker.resume()
            desk.await_quiet()

            # 6. A stop.
            stop(job)
            desk.await_page("#words", re.compile("The job (has ended|does not answer)"))
            desk.await_alert("ScoringDown")

        # 7. Another model, and 8. a fallback: its Spark model is one of another Spark.
        leave_only_an_old_spark_model(store / "churn" / "2")
        ModelStore(store).promote("churn", 2)
        options = {"backend": "auto", "reload_interval": 1}
        with start(**options, transaction_timeout=10, batch_timeout=14) as job:
            desk.await_quiet()
            desk.await_page("#model", "churn@2/sklearn")
            desk.await_metric('scoring_model_info{model_version="churn@2/sklearn"} == 1')
            desk.await_metric("scoring_fallback_in_use == 1")
            desk.await_alert("ScoringFallbackEngine")

            # 9. A champion that cannot be used.
            champion = store / "churn" / "champion"
            champion.write_text("9\n")
            desk.await_metric('scoring_refused_model_info{model_version="churn@9"} == 1')
            desk.await_page("#verdict", "The champion churn@9 is refused")
            desk.await_alert("ScoringModelRefused")
            champion.write_text("2\n")

            # 10. A hung worker.
            send(build_customers(10, seed=5))
            desk.await_metric("scoring_records_total >= 10")
            for worker in find_workers(psutil.Process(job.pid), with_daemon=True):
                worker.suspend()
            send(build_customers(10, seed=6))
            desk.await_page("#verdict", "no progress for")
            desk.await_alert("ScoringNotReady")
            desk.await_metric('scoring_restarts_total{cause="BatchTimeoutError"} == 1')
            desk.await_quiet()

            # 11. Two jobs of one query name: the newest takes over.
            rival = deployment.arguments(backend="sklearn", trigger="200 milliseconds", lease=0)
            with (
                (tmp_path / "rival.log").open("ab") as log,
                start_job(rival, output=log) as other,
            ):
                desk.await_metric("scoring_fenced_total == 1")
                desk.await_page("#events", "Fenced")
                desk.await_alert("ScoringFenced")
                job.wait(WAIT_S)
                assert wait_until(lambda: read_account(deployment, sent).faults == {}, WAIT_S)
                stop(other)
    account = read_account(deployment, sent)
    assert account.faults == {}
    # The kill and the other job have taken counts away, but nothing is counted twice.
    folder = open_folder(str(checkpoint))
    windows = [folder.find_open_window(), *folder.list_windows(99)]
    counted = sum(it.records for it in windows if it is not None)
    assert 1_600 < counted <= len(account.predictions)
