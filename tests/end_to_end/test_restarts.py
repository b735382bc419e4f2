"""A query that fails is started again inside the job, if that can help."""

from __future__ import annotations

import logging
import threading
from typing import Any

import pytest
from py4j.protocol import Py4JJavaError  # type: ignore[import-untyped]  # it ships no types
from pyspark.sql import SparkSession
from pyspark.sql.streaming.query import StreamingQuery

from lib.contract import CUSTOMER
from lib.errors import QueryFailedError, SinkError, SinkRejectedError, SinkRetryExhaustedError
from lib.scoring.choice import load_backend
from lib.streaming.restarts import RestartPolicy
from lib.streaming.running_query import RunningQuery
from lib.streaming.stop_signal import StopSignal
from lib.streaming.stream import start_stream
from lib.telemetry.progress import BatchProgress, Totals
from tests.end_to_end.jobs import Deployment
from tests.topics import build_customers, produce, read_topic, take_account


class Totalled:
    """Keeps the closing totals."""

    totals = Totals()

    def show(self, batch: BatchProgress, totals: Totals) -> None: ...

    def close(self, totals: Totals) -> None:
        self.totals = totals


class Fault:
    """Raises at the n-th, m-th, … time that a step is reached."""

    def __init__(self, error: SinkError, step: str, *times: int) -> None:
        self._error, self._step, self._times = error, step, times
        self.reached = 0

    def __call__(self, step: str) -> None:
        self.reached += step == self._step
        if step == self._step and self.reached in self._times:
            raise self._error


def drain(spark: SparkSession, deployment: Deployment, fault: Fault, **options: Any) -> Totals:
    settings = deployment.settings(max_offsets_per_trigger=200, **options)
    view, scorer = Totalled(), load_backend(spark, settings, CUSTOMER)
    with StopSignal(spark) as stop:
        start_stream(spark, settings, scorer, CUSTOMER, fault).follow(view, stop)
    return view.totals


# The driver's claim of a group is a transaction, and so is each batch: 1 claim, 2 and 3 batches, 4
# the claim of the restart. On executors each of the four partitions is claimed: 1 to 4, then 5 and
# 6 batches, 7 to 10 claims.
@pytest.mark.parametrize(("commit", "steps"), [("driver", (3, 4)), ("executor", (6, 12))])
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

    with caplog.at_level(logging.WARNING, "lib.streaming.running_query"):
        totals = drain(spark, deployment, fault, commit=commit)

    account = take_account(
        records,
        read_topic(deployment.bootstrap_servers, deployment.output_topic),
        read_topic(deployment.bootstrap_servers, deployment.dead_letter_topic),
    )
    assert account.faults == {}
    assert totals.records == 600
    told = [
        record.message for record in caplog.records if record.name == "lib.streaming.running_query"
    ]
    assert len(told) == 2
    assert all("starting it again in " in line for line in told)


def test_a_stop_does_not_wait_for_brokers_that_do_not_answer(
    spark: SparkSession, deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor for all attempts: the batch is given up, and the next start writes it."""
    monkeypatch.setattr("lib.streaming.running_query._STOP_TIMEOUT_S", 1.0)
    records = build_customers(50)
    produce(deployment.bootstrap_servers, deployment.input_topic, records)
    settings, silence = deployment.settings(), threading.Event()
    steps: list[str] = []

    with StopSignal(spark) as stop:

        def hang_in_the_batch(step: str) -> None:
            steps.append(step)
            if steps.count("offsets_sent") == 2:  # the first one claims the group
                stop.request("SIGTERM")
                silence.wait(60)
                steps.append("heard again")

        scorer = load_backend(spark, settings, CUSTOMER)
        start_stream(spark, settings, scorer, CUSTOMER, hang_in_the_batch).follow(Totalled(), stop)

    assert steps[-1] == "offsets_sent"
    drain(spark, deployment, Fault(SinkError("never"), "no step"))
    silence.set()
    account = take_account(
        records,
        read_topic(deployment.bootstrap_servers, deployment.output_topic),
        read_topic(deployment.bootstrap_servers, deployment.dead_letter_topic),
    )
    assert account.faults == {}


def test_what_spark_says_at_the_start_of_a_query_is_an_error_like_any_other(
    spark: SparkSession,
) -> None:
    jvm: Any = spark._jvm

    def start() -> StreamingQuery:
        raise Py4JJavaError("call", jvm.java.io.IOException("the name node is away"))

    with pytest.raises(QueryFailedError, match=r"the query did not start: .*name node is away"):
        RunningQuery(start, RestartPolicy(1))


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
