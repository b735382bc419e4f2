"""A job's Spark session waits for running tasks before it ends; its Kafka clients are known."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from pyspark import SparkContext
from pyspark.sql import SparkSession

from lib.errors import SettingsError
from lib.kafka.cluster import Cluster
from lib.kafka.options import java_list
from lib.kafka.options.java_values import check_java_values
from lib.source.kafka import check_java_client
from lib.spark.session import count_running_tasks, silence, wait_for_tasks
from tests.kafka.client_options import list_java_definitions, read_java_options
from tests.support.waiting import wait_until

GROUP = "stopped"


def sleep_in_a_task(context: SparkContext, began: Path) -> None:
    """Run a task that outlives its cancelled job, because Spark does not interrupt it."""

    def sleep(seconds: float) -> None:
        began.touch()
        time.sleep(seconds)

    context.setJobGroup(GROUP, "sleeps", interruptOnCancel=False)
    with suppress(Exception):  # the job was cancelled
        context.parallelize([60.0], numSlices=1).map(sleep).collect()


def test_a_stop_waits_for_tasks_whose_job_was_cancelled(
    spark: SparkSession, tmp_path: Path
) -> None:
    began = tmp_path / "began"
    job = Thread(target=sleep_in_a_task, args=(spark.sparkContext, began), daemon=True)
    job.start()
    wait_until(began.exists)
    spark.sparkContext.cancelJobGroup(GROUP)
    job.join(60)
    outlived_their_job = count_running_tasks(spark)

    wait_for_tasks(spark)

    assert outlived_their_job == 1
    assert count_running_tasks(spark) == 0


def test_a_job_that_ends_lets_spark_log_nothing_more(spark: SparkSession) -> None:
    """The settings give some loggers levels of their own, which the root's does not reach."""
    jvm: Any = spark._jvm
    log4j: Any = jvm.org.apache.logging.log4j
    names = (
        "org.apache.spark.util.Utils",
        "org.apache.spark.executor.Executor",
        "org.apache.kafka.clients.NetworkClient",
    )
    silence(spark)
    try:
        levels = [str(log4j.LogManager.getLogger(name).getLevel()) for name in names]
    finally:
        log4j.core.config.Configurator.reconfigure()
        spark.sparkContext.setLogLevel("ERROR")

    assert levels == ["OFF", "OFF", "OFF"]


def test_a_stop_waits_for_tasks_that_are_about_to_begin(spark: SparkSession) -> None:
    jvm: Any = spark._jvm
    context: Any = spark.sparkContext._jsc
    began_late = 0
    for _ in range(30):
        # The job is submitted but has not begun, like the first job of a batch when its query is
        # stopped.
        job = context.parallelize(jvm.java.util.Collections.singletonList(0), 1).countAsync()

        wait_for_tasks(spark)

        while not job.isDone():
            began_late += count_running_tasks(spark)

    assert began_late == 0


def test_the_list_of_javas_options_is_that_of_the_connectors_client(spark: SparkSession) -> None:
    version, options = read_java_options(spark)

    # If this fails: .venv/bin/python -m tests.kafka.write_options
    assert version == java_list.VERSION
    assert options == java_list.OPTIONS


@pytest.mark.parametrize("value", ["", "abc", " 7 ", "-1", "1.5", "99999999999", "TRUE", "none"])
def test_javas_client_refuses_the_same_values(spark: SparkSession, value: str) -> None:
    given = spark._jvm.java.util.HashMap()  # type: ignore[union-attr]
    for name in java_list.OPTIONS:
        given.put(name, value)
    refused: set[str] = set()
    asked: set[str] = set()
    for definition in list_java_definitions(spark):
        verdicts = {it.name(): bool(it.errorMessages()) for it in definition.validate(given)}
        asked |= verdicts.keys()
        refused |= {name for name, is_refused in verdicts.items() if is_refused}

    # They name classes, which this session may not have; Java looks for them at the start.
    classes = {name for name, (kind, _) in java_list.OPTIONS.items() if kind == "CLASS"}
    assert java_list.OPTIONS.keys() <= asked
    assert {name for name in java_list.OPTIONS if is_refused(name, value)} == refused - classes


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (
            {"sasl.login.class": "no.such.Login", "max.request.size": "1000"},
            "ConfigException: Invalid value no.such.Login for configuration sasl.login.class",
        ),
        (
            {"security.protocol": "SSL", "ssl.truststore.location": "/nowhere/x.jks"},
            "NoSuchFileException: /nowhere/x.jks",
        ),
        (
            {
                "security.protocol": "SASL_SSL",
                "sasl.mechanism": "PLAIN",
                "sasl.jaas.config": "hunter2",
            },
            "IllegalArgumentException: ",
        ),
    ],
)
def test_options_with_which_java_builds_no_client_are_refused_before_the_query(
    spark: SparkSession, options: dict[str, str], reason: str
) -> None:
    with pytest.raises(SettingsError) as refusal:
        check_java_client(spark, Cluster("127.0.0.1:1", options))

    assert "Spark's Kafka client does not take the --kafka options: " in refusal.value.message
    assert reason in refusal.value.message
    assert "hunter2" not in str(refusal.value)


def test_options_with_which_java_builds_a_client_are_taken(spark: SparkSession) -> None:
    options = {"security.protocol": "SSL", "ssl.endpoint.identification.algorithm": "none"}

    check_java_client(spark, Cluster("127.0.0.1:1", options))


def is_refused(name: str, value: str) -> bool:
    try:
        check_java_values({name: value})
    except SettingsError:
        return True
    return False
