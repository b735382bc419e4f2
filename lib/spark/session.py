"""The Spark session of a job."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from py4j.protocol import Py4JJavaError  # type: ignore[import-untyped]  # it ships no types
from pyspark.sql import SparkSession

from lib.errors import SetupError
from lib.waiting import wait_until

_CONNECTOR_CLASS = "org.apache.spark.sql.kafka010.KafkaSourceProvider"
# What the plan relies on, whoever starts the job. All of them can be set at run time.
_RUNTIME_SETTINGS = {
    # A record may name a field twice; as everywhere in JSON's practice, the last one counts.
    "spark.sql.variant.allowDuplicateKeys": "true",
    "spark.sql.session.timeZone": "UTC",
}

# Spark gives a Python worker two seconds to end by itself. An executor that hangs is left behind.
_END_OF_TASKS_S = 5.0
_POLL_S = 0.02


def build_session(name: str) -> SparkSession:
    """Join the session that spark-submit prepared, or start one as Spark's own settings say."""
    builder = SparkSession.builder.appName(name)
    session = builder.getOrCreate()
    apply_runtime_settings(session)
    return session


def apply_runtime_settings(session: SparkSession) -> None:
    """Set what the plan relies on."""
    for key, value in _RUNTIME_SETTINGS.items():
        session.conf.set(key, value)


def is_local(session: SparkSession) -> bool:
    """Whether executors are on this machine, with the Python and the packages of the driver."""
    return (session.sparkContext.master or "").startswith("local")


def check_connector(session: SparkSession) -> None:
    """Make sure that Spark's Kafka connector is on the class path.

    Raises:
        SetupError: it is not; says how to configure it.
    """
    jvm: Any = session._jvm
    loader = jvm.org.apache.spark.util.Utils.getContextOrSparkClassLoader()
    try:
        jvm.java.lang.Class.forName(_CONNECTOR_CLASS, False, loader)
    except Py4JJavaError as error:
        version = session.version
        raise SetupError(
            "Spark's Kafka connector is not on the class path",
            hint=f"spark-submit --packages org.apache.spark:spark-sql-kafka-0-10_2.13:{version} …,"
            " or use ./spark-submit.sh, which adds it",
        ) from error


def stop_session(session: SparkSession) -> None:
    """Stop Spark after the tasks that still end.

    A task that ends after its scheduler fails in it, which Spark logs as an error for each.
    """
    wait_for_tasks(session)
    session.stop()


def wait_for_tasks(session: SparkSession) -> None:
    """Wait until the tasks of an interrupted query have ended, or do not end soon."""
    _pass_scheduler(session)
    wait_until(lambda: not count_running_tasks(session), _END_OF_TASKS_S, poll_s=_POLL_S)


def _pass_scheduler(session: SparkSession) -> None:
    """Wait until the scheduler has handled what was submitted and cancelled so far.

    It does so in its own thread. A job that a query submitted just before its stop is cancelled
    already, and its tasks are not launched yet, but may be: no count of tasks tells of them.
    """
    context: Any = session.sparkContext
    if context._jsc.sc().isStopped():
        return
    jvm: Any = session._jvm
    one = jvm.java.util.Collections.singletonList(0)
    # It is late where tasks that do not end hold every slot, and fails where Spark stops by itself.
    with suppress(Py4JJavaError):
        job = context._jsc.parallelize(one, 1).countAsync()
        job.get(int(_END_OF_TASKS_S), jvm.java.util.concurrent.TimeUnit.SECONDS)


def count_running_tasks(session: SparkSession) -> int:
    """Tasks that run now, those included whose job was cancelled.

    Spark's status tracker tells it too, a tenth of a second late.
    """
    context: Any = session.sparkContext._jsc.sc()
    if context.isStopped():  # by itself, for it does so where it cannot go on
        return 0
    by_executor = context.taskScheduler().runningTasksByExecutors().valuesIterator()
    running = 0
    while by_executor.hasNext():
        running += int(by_executor.next())
    return running
