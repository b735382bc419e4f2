"""Makes all checks one after the other; one that fails does not keep others from being made."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from tempfile import gettempdir

from confluent_kafka.admin import AdminClient
from pyspark.sql import SparkSession

from lib.findings import Finding
from lib.settings.jobs.check import CheckSettings
from lib.setup.cores import count_cores
from lib.setup.memory import find_memory_limit, judge_memory, parse_java_size
from lib.source.kafka import check_java_client
from lib.spark.full_disk import list_local_folders
from lib.spark.local_session import build_local_session
from lib.spark.session import check_connector, is_local, stop_session
from lib.stream.preflight import list_own_rights
from lib.tools.check.brokers import check_brokers
from lib.tools.check.examination import Examination
from lib.tools.check.java_client import check_by_java
from lib.tools.check.model import check_files, check_model
from lib.tools.check.place import check_disks, check_place
from lib.tools.check.query import check_checkpoint, check_positions

_HEAP = "spark.driver.memory"
_BY_SPARK = ("memory", "model", "checkpoint", "positions", "clock")


def examine(
    settings: CheckSettings, open_session: Callable[[], AbstractContextManager[SparkSession]]
) -> list[Finding]:
    """Make all checks, and change nothing.

    Nothing is written to Kafka, no offset is committed, no transactional id is fenced, and no
    folder is made.

    Args:
        settings: the settings of the job, and of the checks.
        open_session: a function that provides Spark's session; it may raise ScoringError.
    """
    examination = Examination()
    check_place(examination)
    places = [("temporary files", gettempdir()), ("checkpoint's disk", settings.checkpoint)]
    check_disks(examination, places)
    files = check_files(examination, settings)
    path, contract = files or (None, None)
    admin = check_brokers(examination, settings, contract)
    with ExitStack() as stack:
        check = "Spark's session"
        spark = examination.attempt(check, lambda: stack.enter_context(open_session()))
        if spark is None:
            hint = f"see {check}, and check again"
            examination.skip(_BY_SPARK, "Spark was not started", hint)
        else:
            _check_with_spark(examination, settings, spark, admin, path)
    return examination.findings


@contextmanager
def open_local_session() -> Iterator[SparkSession]:
    """Join the session that spark-submit prepared, or start a quiet local one, and stop it.

    Raises:
        SetupError: there is no Java that Spark runs on.
    """
    spark = build_local_session("check")
    try:
        yield spark
    finally:
        stop_session(spark)


def _check_with_spark(
    examination: Examination,
    settings: CheckSettings,
    spark: SparkSession,
    admin: AdminClient | None,
    path: Path | str | None,
) -> None:
    """Make the checks that need Spark's JVM.

    Args:
        examination: the findings.
        settings: the settings of the job.
        spark: the session.
        admin: a client of the cluster; None if no broker answers.
        path: the place of the model; None if it is not found.
    """
    if is_local(spark):
        heap = parse_java_size(spark.sparkContext.getConf().get(_HEAP) or "1g")
        examination.add(judge_memory(find_memory_limit(), heap=heap, cores=count_cores()))
    folders = [("Spark's scratch files", it) for it in list_local_folders(spark)]
    check_disks(examination, folders)
    if examination.passes("Kafka connector", lambda: check_connector(spark)):
        examination.note("Kafka connector", "on the class path", "on the class path")
    cluster = settings.cluster
    is_client_built = examination.passes(
        "options of Java's client", lambda: check_java_client(spark, cluster)
    )
    route = None if path is None else check_model(examination, spark, settings, path)
    reader = check_checkpoint(examination, spark, settings)
    if admin is None:
        return
    if reader is not None:
        commit = settings.committer if route is None else route.commit
        check_positions(examination, spark, admin, settings, reader, commit)
    if is_client_built:
        check_by_java(examination, spark, cluster, list_own_rights(settings), settings.lease)
