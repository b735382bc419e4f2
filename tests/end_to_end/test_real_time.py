"""Real-time mode writes what micro-batches would have written, and a kill loses nothing."""

from __future__ import annotations

import logging
import re
import signal
import threading
import time
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from lib.errors import SettingsError
from lib.score.backends.sklearn.backend import SklearnBackend
from lib.score.backends.spark.backend import SparkBackend
from lib.score.base import ModelBackend
from lib.score.choice import load_backend
from lib.settings.jobs.score_stream import ScoreStreamSettings
from lib.stream.mode_check import check_mode
from lib.stream.route import choose_route
from lib.stream.start import start_stream
from lib.stream.watch.stop_signal import StopSignal
from tests.conftest import TopicFactory
from tests.end_to_end.jobs import (
    JOB_TIMEOUT_S,
    Deployment,
    kill_group,
    read_account,
    read_start,
    start_job,
)
from tests.end_to_end.query import start_query
from tests.end_to_end.test_stream import ANY_TIMESTAMP, NANOSECONDS, RecordingView, score
from tests.support.telco import CUSTOMER
from tests.support.topics import Record, build_customers, produce, read_topic
from tests.support.waiting import wait_until

REAL_TIME = {
    "mode": "real-time",
    "delivery": "at-least-once",
    "trigger": "500 milliseconds",
    "real_time_batch": "5 seconds",
}
TRACE = [("traceparent", b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")]
_WIDE = {"max.message.bytes": "2097152"}


@pytest.fixture
def narrow(deployment: Deployment, topic: TopicFactory) -> Deployment:
    """Return a deployment with as many partitions as the session has task slots."""
    return replace(deployment, input_topic=topic(2, _WIDE))


def wait_for_answers(deployment: Deployment, keys: Collection[bytes]) -> None:
    deadline = time.monotonic() + JOB_TIMEOUT_S
    missing = set(keys)
    while missing:
        assert time.monotonic() < deadline, f"{len(missing)} of {len(keys)} are not answered"
        for name in (deployment.output_topic, deployment.dead_letter_topic):
            answers = read_topic(deployment.bootstrap_servers, name)
            missing -= {message.key() for message in answers}


def score_in_real_time(
    spark: SparkSession, deployment: Deployment, records: list[Record]
) -> RecordingView:
    """Send half of the records before the query runs and half while it does, then stop it."""
    settings, view = deployment.settings(**REAL_TIME), RecordingView()
    servers, half = deployment.bootstrap_servers, len(records) // 2
    produce(servers, deployment.input_topic, records[:half], headers=TRACE)
    scorer = load_backend(spark, settings)
    check_mode(spark, settings, scorer, choose_route(spark, settings, scorer))

    def feed() -> None:
        try:
            wait_for_answers(deployment, [key for key, _ in records[:half]])
            produce(servers, deployment.input_topic, records[half:], headers=TRACE)
            wait_for_answers(deployment, [key for key, _ in records])
        finally:
            stop.request("TEST")

    with StopSignal() as stop:
        route = choose_route(spark, settings, scorer)
        stream = start_stream(spark, settings, scorer, CUSTOMER, route)
        feeder = threading.Thread(target=feed)
        feeder.start()
        stream.follow(view, stop)
        feeder.join()
    return view


def test_the_answers_are_those_of_micro_batches(
    spark: SparkSession, narrow: Deployment, topic: TopicFactory, tmp_path: Path
) -> None:
    records = build_customers(600, bad_share=0.05)
    other = replace(
        narrow,
        output_topic=topic(2),
        dead_letter_topic=topic(2, {"max.message.bytes": "3145728"}),
        checkpoint=tmp_path / "micro-batch",
        query_name="micro-batch",
    )

    view = score_in_real_time(spark, narrow, records)
    score(spark, other, backend="sql")

    account, expected = read_account(narrow, records), read_account(other, records)
    assert account.faults == expected.faults == {}
    letters, others = (
        {key: replace(it, failed_ts=None) for key, it in one.dead_letters.items()}
        for one in (account, expected)
    )
    assert letters == others
    assert len(account.dead_letters) > 10
    for key, prediction in expected.predictions.items():
        found = replace(account.predictions[key], processed=prediction.processed)
        assert found == prediction
    starts = {prediction.processed for prediction in account.predictions.values()}
    assert len(starts) == len(view.batches)
    for name in (narrow.output_topic, other.output_topic):
        assert all(it.headers() == TRACE for it in read_topic(narrow.bootstrap_servers, name))
    assert view.totals.records == 600
    assert view.totals.predictions == len(account.predictions)
    assert view.totals.dead_letters == len(account.dead_letters)


def test_nanoseconds_are_answered_in_micro_batches_and_then_real_time_mode_goes_on(
    spark: SparkSession,
    deployment: Deployment,
    topic: TopicFactory,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("lib.stream.at_least_once.DETOUR_S", 3.0)
    caplog.set_level(logging.INFO, "lib.stream.at_least_once")
    deployment = replace(deployment, input_topic=topic(2, {**_WIDE, **ANY_TIMESTAMP}))
    servers, name = deployment.bootstrap_servers, deployment.input_topic
    records = build_customers(120, bad_share=0.05)
    parts = [records[at : at + 30] for at in (0, 30, 60, 90)]
    returns = "real-time mode goes on"

    def go_there_and_back(nanos: list[Record], others: list[Record], number: int) -> None:
        produce(servers, name, nanos, NANOSECONDS)
        wait_for_answers(deployment, [key for key, _ in nanos])
        wait_until(lambda: caplog.messages.count(returns) == number, JOB_TIMEOUT_S)
        produce(servers, name, others)
        wait_for_answers(deployment, [key for key, _ in others])

    def feed() -> None:
        try:
            go_there_and_back(parts[0], parts[1], 1)
            go_there_and_back(parts[2], parts[3], 2)
        finally:
            stop.request("TEST")

    view = RecordingView()
    with StopSignal() as stop:
        # One failure in a row is allowed, and each of the two is the first of its row.
        settings = deployment.settings(**REAL_TIME, backend="sql", restart_limit=1)
        stream = start_query(spark, settings, stop=stop)
        feeder = threading.Thread(target=feed)
        feeder.start()
        stream.follow(view, stop)
        feeder.join()

    account = read_account(deployment, records)
    assert account.faults.keys() <= {"duplicated"}
    times = {key: it.event_time for key, it in account.predictions.items()}
    nanos = {key for part in (parts[0], parts[2]) for key, _ in part}
    assert {times[key] is None for key in times.keys() & nanos} == {True}
    assert caplog.messages.count(returns) == 2
    place = re.escape(f"the query failed: {name}[") + r"[01]\]@\d+"
    told = (
        f"{place} has the Kafka timestamp {NANOSECONDS}; for 3 s micro-batches are read without"
        r" Spark's Kafka source, then real-time mode goes on \(correct the producer: .*\)"
    )
    assert len([it for it in caplog.messages if re.fullmatch(told, it)]) == 2


def test_a_kill_loses_nothing_and_a_signal_ends_it(narrow: Deployment) -> None:
    first, second, third = (build_customers(200, bad_share=0.05, seed=n) for n in (1, 2, 3))
    servers, slots = narrow.bootstrap_servers, {"spark.master": "local[2]"}
    arguments = narrow.arguments(**REAL_TIME, backend="spark")
    options = {"spark.ui.enabled": "false", **slots}

    produce(servers, narrow.input_topic, first)
    with start_job(arguments, spark_options=options) as process:
        started, batch = read_start(process)
        assert "guarantee at-least-once, real-time: Spark's own sink writes" in started
        assert f"positions are those of the checkpoint {narrow.checkpoint}" in started
        assert batch.startswith("batch 0: 200 records in ")
        produce(servers, narrow.input_topic, second)
        wait_for_answers(narrow, [key for key, _ in second])
        kill_group(process)  # the checkpoint does not have the second part
    produce(servers, narrow.input_topic, third)
    with start_job(arguments, spark_options=options) as process:
        wait_for_answers(narrow, [key for key, _ in third])
        process.send_signal(signal.SIGTERM)
        output, errors = process.communicate(timeout=JOB_TIMEOUT_S)

    assert process.returncode == 0, errors
    assert "Traceback" not in output + errors
    assert "Exception" not in output + errors
    assert " stopped after " in output.splitlines()[-1]
    account = read_account(narrow, [*first, *second, *third])
    assert account.faults.keys() <= {"duplicated"}
    # With at-least-once delivery, records that the checkpoint did not have are written again, and
    # no others.
    assert account.duplicated <= {key for key, _ in second}


def refuse(spark: SparkSession, settings: ScoreStreamSettings, scorer: ModelBackend) -> str:
    with pytest.raises(SettingsError) as error:
        check_mode(spark, settings, scorer, choose_route(spark, settings, scorer))
    return str(error.value)


def test_a_backend_with_python_workers_is_refused(
    spark: SparkSession, narrow: Deployment, tmp_path: Path
) -> None:
    lone = tmp_path / "alone.joblib"
    lone.write_bytes((narrow.store / "churn" / "1" / "pipeline.joblib").read_bytes())

    for scorer in (SklearnBackend(lone), SparkBackend("absent", lone, spark)):
        scorer.load()
        assert not scorer.is_native
        message = refuse(spark, narrow.settings(**REAL_TIME), scorer)
        assert "found the model alone/sklearn, which scores in Python workers" in message


def test_too_short_a_batch_and_too_few_slots_are_refused(
    spark: SparkSession, deployment: Deployment
) -> None:
    settings = deployment.settings(**REAL_TIME)
    scorer = load_backend(spark, settings)
    short = deployment.settings(**{**REAL_TIME, "real_time_batch": "1 second"})

    assert "found 1 second, expected at least 5,000 milliseconds" in refuse(spark, short, scorer)
    assert "--master 'local[4]'" in refuse(spark, settings, scorer)
    few = deployment.settings(**REAL_TIME, partitions="0-1")
    check_mode(spark, few, scorer, choose_route(spark, few, scorer))
