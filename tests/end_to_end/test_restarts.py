"""The job starts a failed query again, if that can help."""

from __future__ import annotations

import logging
import re
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
from py4j.protocol import Py4JJavaError  # type: ignore[import-untyped]  # py4j has no types
from pyspark.sql import SparkSession
from pyspark.sql.streaming.query import StreamingQuery

from lib.errors import (
    BrokersAwayError,
    QueryFailedError,
    SinkError,
    SinkRejectedError,
    SinkRetryExhaustedError,
)
from lib.kafka.cluster import Cluster
from lib.kafka.topics import create_topics
from lib.stream.running_query import RunningQuery
from lib.stream.start import build_guard
from lib.stream.watch.guard import QueryGuard
from lib.stream.watch.life_signs import LifeSigns
from lib.stream.watch.outage import OutageWatch
from lib.stream.watch.restarts import RestartPolicy
from lib.stream.watch.stop_signal import StopSignal
from lib.telemetry.monitor import Monitor
from lib.telemetry.progress import BatchProgress, Totals
from lib.tools.broker import EmbeddedBroker
from tests.end_to_end.jobs import Deployment, read_account
from tests.end_to_end.query import start_query
from tests.support.process import find_workers
from tests.support.topics import build_customers, produce, read_topic, take_account
from tests.support.waiting import wait_until


class Totalled:
    """A view that keeps the closing totals."""

    totals = Totals()

    def show(self, batch: BatchProgress, totals: Totals) -> None: ...

    def close(self, totals: Totals) -> None:
        self.totals = totals


class Fault:
    """A fault that raises at the n-th, m-th, … time that a step is reached."""

    def __init__(self, error: SinkError, step: str, *times: int) -> None:
        self._error, self._step, self._times = error, step, times
        self.reached = 0

    def __call__(self, step: str) -> None:
        self.reached += step == self._step
        if step == self._step and self.reached in self._times:
            raise self._error


def drain(
    spark: SparkSession,
    deployment: Deployment,
    fault: Fault,
    monitor: Monitor | None = None,
    **options: Any,
) -> Totals:
    settings = deployment.settings(max_offsets_per_trigger=200, **options)
    view = Totalled()
    with StopSignal() as stop:
        start_query(spark, settings, fault, stop, monitor).follow(view, stop)
    return view.totals


# The driver's claim of a group is a transaction, and so is each batch: 1 is the claim, 2 and 3 are
# batches, 4 is the claim of the restart. Executors also claim each of the four partitions that have
# an offset: 1 is the claim, 2 and 3 are batches, 4 to 7 claim the partitions, 8 is the driver's
# claim.
@pytest.mark.parametrize(("commit", "steps"), [("driver", (3, 4)), ("executor", (3, 8))])
def test_a_failure_that_passes_costs_nothing_but_time(
    spark: SparkSession,
    deployment: Deployment,
    caplog: pytest.LogCaptureFixture,
    commit: str,
    steps: tuple[int, ...],
) -> None:
    records = build_customers(600, bad_share=0.05)
    produce(deployment.bootstrap_servers, deployment.input_topic, records)
    fault = Fault(SinkRetryExhaustedError("the brokers are away"), "produced", *steps)
    monitor = Monitor(is_on=True)

    with caplog.at_level(logging.WARNING, "lib.stream.running_query"):
        totals = drain(spark, deployment, fault, monitor, commit=commit)

    account = read_account(deployment, records)
    assert account.faults == {}
    counted = monitor.figures.tally.outcomes
    assert sum(counted[deployment.output_topic].values()) == len(account.predictions)
    assert sum(counted[deployment.dead_letter_topic].values()) == len(account.dead_letters)
    assert monitor.figures.restarts == {"SinkRetryExhaustedError": 2}
    kinds = [it.kind for it in monitor.job.events if it.kind not in ("model", "replay")]
    attempt = ["failure", "restarting", "taking_over"]
    assert kinds == ["taking_over", "running", *attempt, *attempt, "running"]
    assert totals.records == 600
    told = [
        record.message for record in caplog.records if record.name == "lib.stream.running_query"
    ]
    assert len(told) == 2
    assert all("starting it again in " in line for line in told)


def test_a_stop_does_not_wait_for_brokers_that_do_not_answer(
    spark: SparkSession, deployment: Deployment
) -> None:
    """A stop does not wait for all attempts: the batch is given up, the next start writes it."""
    records = build_customers(50)
    produce(deployment.bootstrap_servers, deployment.input_topic, records)
    # This process lives on, so the next start waits until the lease of this start has ended.
    settings, silence = deployment.settings(lease=3), threading.Event()
    steps: list[str] = []

    with StopSignal(patience_s=1.0) as stop:

        def hang_in_the_batch(step: str) -> None:
            steps.append(step)
            if steps.count("offsets_sent") == 2:  # the first transaction claims the group
                stop.request("SIGTERM")
                silence.wait(60)
                steps.append("heard again")

        start_query(spark, settings, hang_in_the_batch, stop).follow(Totalled(), stop)

    assert steps[-1] == "offsets_sent"
    drain(spark, deployment, Fault(SinkError("never"), "no step"))
    silence.set()
    assert read_account(deployment, records).faults == {}


def test_what_spark_says_at_the_start_of_a_query_is_an_error_like_any_other(
    spark: SparkSession, deployment: Deployment
) -> None:
    jvm: Any = spark._jvm

    def start() -> StreamingQuery:
        raise Py4JJavaError("call", jvm.java.io.IOException("the name node is away"))

    guard = build_guard(spark, deployment.settings())
    with pytest.raises(QueryFailedError, match=r"the query did not start: .*name node is away"):
        RunningQuery(start, RestartPolicy(1), guard).start(StopSignal())


def test_a_failure_that_does_not_pass_ends_the_job_at_once(
    spark: SparkSession, deployment: Deployment
) -> None:
    produce(deployment.bootstrap_servers, deployment.input_topic, build_customers(50))
    fault = Fault(SinkRejectedError("too large"), "begun", 2, 3, 4, 5)

    with pytest.raises(SinkRejectedError, match="too large"):
        drain(spark, deployment, fault)
    assert fault.reached == 2


def test_failures_without_progress_between_end_the_job_at_the_limit(
    spark: SparkSession, deployment: Deployment
) -> None:
    produce(deployment.bootstrap_servers, deployment.input_topic, build_customers(50))
    # The first transaction of each start claims the group, the second writes the batch.
    fault = Fault(QueryFailedError("an executor was lost"), "begun", 2, 4, 6, 8, 10)

    with pytest.raises(QueryFailedError, match="an executor was lost"):
        drain(spark, deployment, fault, restart_limit=2)
    assert fault.reached == 6


@pytest.mark.parametrize(("commit", "with_daemon"), [("driver", False), ("executor", True)])
def test_a_batch_whose_workers_hang_is_given_up_and_tried_again(
    spark: SparkSession,
    deployment: Deployment,
    caplog: pytest.LogCaptureFixture,
    commit: str,
    with_daemon: bool,
) -> None:
    """Spark's daemon kills the workers of cancelled tasks, unless the daemon hangs itself."""
    records = build_customers(60)
    produce(deployment.bootstrap_servers, deployment.input_topic, records[:30])
    settings = deployment.settings(backend="sklearn", commit=commit, trigger="100 milliseconds")
    # This is less than the setting allows, because transactions might take longer.
    settings = settings.model_copy(update={"batch_timeout": 5.0})
    view = Totalled()
    hung: list[psutil.Process] = []

    def count_answers() -> int:
        return len(read_topic(deployment.bootstrap_servers, deployment.output_topic))

    def strike(stop: StopSignal) -> None:
        """Stop the idle workers, then send them records; end when all records are answered."""
        try:
            wait_until(lambda: count_answers() == 30)
            hung.extend(find_workers(psutil.Process(), with_daemon=with_daemon))
            for worker in hung:
                worker.suspend()
            produce(deployment.bootstrap_servers, deployment.input_topic, records[30:])
            wait_until(lambda: count_answers() == 60)
        finally:
            stop.request("SIGTERM")
            for worker in hung:  # workers that had nothing to do are still alive
                with suppress(psutil.NoSuchProcess):
                    worker.resume()

    with StopSignal() as stop:
        stream = start_query(spark, settings, stop=stop)
        striking = threading.Thread(target=strike, args=(stop,))
        striking.start()
        stream.follow(view, stop)
        striking.join()

    assert read_account(deployment, records).faults == {}
    told = "\n".join(record.message for record in caplog.records)
    assert re.search(
        r"starting it again in 1 s \(1 of 10\): the batch has made no progress for [3-9] s:"
        r" \d of the \d tasks of stage \d+ run, on 127\.0\.0\.1:\d+",
        told,
    ), told


def test_an_outage_of_the_brokers_costs_no_restart_and_is_told(
    spark: SparkSession,
    crashable_broker: EmbeddedBroker,
    model_store: Path,
    checkpoint: Path,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    servers, records = crashable_broker.bootstrap_servers, build_customers(20)
    create_topics(Cluster(servers), dict.fromkeys(("in", "out", "dead"), 1))
    produce(servers, "in", records)
    deployment = Deployment(servers, "in", "out", "dead", model_store, checkpoint, "outage")
    assert crashable_broker.pid is not None
    broker = psutil.Process(crashable_broker.pid)
    begun = 0

    def lose_the_broker(step: str) -> None:
        nonlocal begun
        begun += step == "begun"
        if step == "begun" and begun == 2:  # the first transaction claims the group
            broker.suspend()
            threading.Timer(6.0, broker.resume).start()
            raise SinkRetryExhaustedError("the broker is silent")

    settings = deployment.settings(restart_limit=0)
    try:
        with StopSignal() as stop:
            stream = start_query(spark, settings, lose_the_broker, stop)
            stream.follow(Totalled(), stop)
    finally:
        broker.resume()

    account = take_account(records, read_topic(servers, "out"), read_topic(servers, "dead"))
    assert account.faults == {}
    told = [record.message for record in caplog.records if record.name.startswith("lib.stream")]
    assert told[0].startswith(f"no broker answers at {servers} (")
    assert told[1] == "the query failed, for want of brokers: the broker is silent"
    assert told[-1].startswith("the brokers answer again, after ")
    # The clients do not tell of it a second time, neither to the log nor to standard error.
    ours = [record for record in caplog.records if record.name.startswith("lib.")]
    assert [record for record in ours if record.levelno > logging.WARNING] == []
    assert "rdkafka#" not in capfd.readouterr().err


def test_an_outage_ends_the_job_only_at_its_limit(
    spark: SparkSession, deployment: Deployment
) -> None:
    away = OutageWatch(lambda: "no broker answers at b:9092", lambda: 20.0)
    signs = LifeSigns(spark)
    away.ask()
    for limit_s in (0.0, 3600.0):
        patient = QueryGuard(signs, away, batch_timeout_s=60.0, outage_limit_s=limit_s)
        assert patient.is_excused(QueryFailedError("a lost broker"))
        assert not patient.is_excused(SinkRejectedError("too large"))
    guard = QueryGuard(signs, away, batch_timeout_s=60.0, outage_limit_s=10.0)

    with pytest.raises(BrokersAwayError, match=r"away for 2\d s, longer than --outage-limit 10 "):
        guard.await_brokers(StopSignal())


def test_a_stop_ends_the_wait_for_a_restart(spark: SparkSession, deployment: Deployment) -> None:
    produce(deployment.bootstrap_servers, deployment.input_topic, build_customers(20))
    settings = deployment.settings()
    steps: list[str] = []

    with StopSignal() as stop:

        def fail_and_stop(step: str) -> None:
            steps.append(step)
            if steps.count("produced") == 2:  # the first transaction claims the group
                threading.Timer(0.5, stop.request, ("SIGTERM",)).start()
                raise QueryFailedError("an executor was lost")

        stream = start_query(spark, settings, fail_and_stop, stop)
        stream.follow(Totalled(), stop)

    assert stop.is_requested
    assert steps.count("produced") == 2
