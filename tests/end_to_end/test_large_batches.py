"""Senders of large records decide how large a batch is, but that must not stop the job."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
from pyspark.sql import SparkSession

from lib.telemetry.progress import Totals
from tests.end_to_end.jobs import Deployment, read_account
from tests.end_to_end.test_stream import score
from tests.support.topics import build_customers, produce

_RECORDS = 3_000


@pytest.fixture
def small_driver(spark: SparkSession) -> Iterator[None]:
    """Let the driver collect less than one batch's messages; each stage reads the limit."""
    name = "spark.driver.maxResultSize"
    settings = spark.sparkContext._jsc.sc().conf()
    before = settings.get(name)
    settings.set(name, "1m")
    yield
    settings.set(name, before)


def score_as_one_batch(spark: SparkSession, deployment: Deployment, **options: str) -> Totals:
    records = build_customers(_RECORDS, bad_share=0.02, seed=4)
    produce(deployment.bootstrap_servers, deployment.input_topic, records)

    view = score(spark, deployment, **options)

    assert read_account(deployment, records).faults == {}
    return view.totals


@pytest.mark.usefixtures("small_driver")
def test_a_batch_that_the_driver_cannot_collect_is_written_in_parts(
    spark: SparkSession, deployment: Deployment, caplog: pytest.LogCaptureFixture
) -> None:
    totals = score_as_one_batch(spark, deployment)

    assert caplog.text.count("is too large, writing it in halves") >= 2
    assert (totals.batches, totals.records) == (1, _RECORDS)


@pytest.mark.usefixtures("small_driver")
def test_commits_on_executors_send_no_batch_to_the_driver(
    spark: SparkSession, deployment: Deployment, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "lib"):
        totals = score_as_one_batch(spark, deployment, commit="executor")

    assert "is too large" not in caplog.text
    assert (totals.batches, totals.records) == (1, _RECORDS)
