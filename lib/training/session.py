"""The Spark session that training runs in."""

from __future__ import annotations

import os

from pyspark.sql import SparkSession

from lib.class_archive import list_jvm_options
from lib.jars import PROJECT_ROOT
from lib.java import find_java

_LOG_SETTINGS = PROJECT_ROOT / "conf" / "log4j2.properties"


def build_training_session(name: str = "train") -> SparkSession:
    """Join the session that spark-submit prepared, or start a quiet local one.

    Raises:
        SetupError: there is no Java that Spark runs on.
    """
    builder = SparkSession.builder.appName(name)
    # Set by spark-submit, which has started the JVM with the user's settings.
    if "PYSPARK_GATEWAY_PORT" in os.environ or SparkSession.getActiveSession() is not None:
        return builder.getOrCreate()
    options = list_jvm_options(find_java())
    if _LOG_SETTINGS.is_file():
        options.append(f"-Dlog4j2.configurationFile=file:{_LOG_SETTINGS}")
    settings = {
        "spark.master": "local[*]",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.extraJavaOptions": " ".join(f'"{option}"' for option in options),
        # Plans with one column for each category value are long; do not warn that they are cut.
        "spark.sql.debug.maxToStringFields": "1000",
        # Rows are sent to Spark in so many tasks: it warns of tasks beyond 1 MB, 2,500 customers.
        "spark.default.parallelism": "32",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
    }
    for key, value in settings.items():
        builder = builder.config(key, value)
    return builder.getOrCreate()
