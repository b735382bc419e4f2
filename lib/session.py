"""The Spark session of a job."""

from __future__ import annotations

from typing import Any

from pyspark.sql import SparkSession

from lib.errors import SetupError

_CONNECTOR_CLASS = "org.apache.spark.sql.kafka010.KafkaSourceProvider"
# What the plan relies on, whoever starts the job. All of them can be set at run time.
_RUNTIME_SETTINGS = {
    # A record may name a field twice; as everywhere in JSON's practice, the last one counts.
    "spark.sql.variant.allowDuplicateKeys": "true",
    "spark.sql.session.timeZone": "UTC",
}


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


def check_connector(session: SparkSession) -> None:
    """Make sure that Spark's Kafka connector is on the class path.

    Raises:
        SetupError: it is not; says how to configure it.
    """
    jvm: Any = session._jvm
    loader = jvm.org.apache.spark.util.Utils.getContextOrSparkClassLoader()
    try:
        jvm.java.lang.Class.forName(_CONNECTOR_CLASS, False, loader)
    except Exception as error:
        version = session.version
        raise SetupError(
            "Spark's Kafka connector is not on the class path",
            hint=f"spark-submit --packages org.apache.spark:spark-sql-kafka-0-10_2.13:{version} …,"
            " or use ./spark-submit.sh, which adds it",
        ) from error
