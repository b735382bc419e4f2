"""Builds, checks and stops the Spark session of a job."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from py4j.protocol import Py4JJavaError  # type: ignore[import-untyped]  # it ships no types
from pyspark.sql import SparkSession

from lib.errors import SetupError
from lib.setup.places import IS_INSTALLED
from lib.waiting import wait_until

_CONNECTOR_CLASS = "org.apache.spark.sql.kafka010.KafkaSourceProvider"
# The settings that the plan needs, however the job is started. All can be set at run time.
_RUNTIME_SETTINGS = {
    # A record may name a field twice; the last one counts, as is usual for JSON.
    "spark.sql.variant.allowDuplicateKeys": "true",
    "spark.sql.session.timeZone": "UTC",
}

# Spark gives a Python worker two seconds to end by itself. A hanging executor is not waited for.
_END_OF_TASKS_S = 5.0
_POLL_S = 0.02


def build_session(name: str) -> SparkSession:
    """Join the session that spark-submit prepared, or start one with Spark's own settings."""
    builder = SparkSession.builder.appName(name)
    session = builder.getOrCreate()
    apply_runtime_settings(session)
    return session


def apply_runtime_settings(session: SparkSession) -> None:
    """Set the settings that the plan needs."""
    for key, value in _RUNTIME_SETTINGS.items():
        session.conf.set(key, value)


def is_local(session: SparkSession) -> bool:
    """Tell whether executors are on this machine, with the driver's Python and packages."""
    return (session.sparkContext.master or "").startswith("local")


def check_connector(session: SparkSession) -> None:
    """Make sure that Spark's Kafka connector is on the class path.

    Raises:
        SetupError: the connector is missing; the error says how to configure it.
    """
    jvm: Any = session._jvm
    loader = jvm.org.apache.spark.util.Utils.getContextOrSparkClassLoader()
    try:
        jvm.java.lang.Class.forName(_CONNECTOR_CLASS, False, loader)
    except Py4JJavaError as error:
        package = f"org.apache.spark:spark-sql-kafka-0-10_2.13:{session.version}"
        other = (
            "set spark.jars to what `python -m lib.setup.jars connector` prints"
            if IS_INSTALLED
            else "use ./spark-submit.sh, which adds it"
        )
        raise SetupError(
            "Spark's Kafka connector is not on the class path",
            hint=f"spark-submit --packages {package} …, or {other}",
        ) from error


def silence(session: SparkSession) -> None:
    """Let Spark log nothing more, because the job ends.

    Spark logs an error for each task and write that the end interrupts, and for each worker that it
    kills, such as those of a warm-up when the start is refused. Whatever ends the job is told in
    the job's own line.
    """
    jvm: Any = session._jvm
    log4j: Any = jvm.org.apache.logging.log4j
    # A Spark with another logging library has no such class.
    with suppress(TypeError):
        # SparkContext.setLogLevel leaves out the loggers that conf/log4j2.properties names.
        log4j.core.config.Configurator.setAllLevels("", log4j.Level.OFF)


def stop_session(session: SparkSession) -> None:
    """Stop Spark in silence, after waiting for tasks that are about to end."""
    silence(session)
    wait_for_tasks(session)
    session.stop()


def wait_for_tasks(session: SparkSession) -> None:
    """Wait a limited time until the tasks of an interrupted query have ended."""
    _pass_scheduler(session)
    wait_until(lambda: not count_running_tasks(session), _END_OF_TASKS_S, poll_s=_POLL_S)


def _pass_scheduler(session: SparkSession) -> None:
    """Wait until the scheduler has handled what was submitted and cancelled so far.

    The scheduler has its own thread. The tasks of a job that a query submitted just before its stop
    may still be launched although the job is cancelled, and are in no count of tasks yet.
    """
    context: Any = session.sparkContext
    if context._jsc.sc().isStopped():
        return
    jvm: Any = session._jvm
    one = jvm.java.util.Collections.singletonList(0)
    # The job is late if tasks that do not end hold every slot, and fails if Spark stops by itself.
    with suppress(Py4JJavaError):
        job = context._jsc.parallelize(one, 1).countAsync()
        job.get(int(_END_OF_TASKS_S), jvm.java.util.concurrent.TimeUnit.SECONDS)


def count_running_tasks(session: SparkSession) -> int:
    """Count the tasks that run now, also those of cancelled jobs.

    Spark's status tracker has the number too, a tenth of a second late.
    """
    context: Any = session.sparkContext._jsc.sc()
    if context.isStopped():  # Spark stops by itself if it cannot go on
        return 0
    by_executor = context.taskScheduler().runningTasksByExecutors().valuesIterator()
    running = 0
    while by_executor.hasNext():
        running += int(by_executor.next())
    return running
