"""A job's Spark session waits for running tasks before it ends."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path
from threading import Thread
from typing import Any

from pyspark import SparkContext
from pyspark.sql import SparkSession

from lib.spark.session import count_running_tasks, wait_for_tasks
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
