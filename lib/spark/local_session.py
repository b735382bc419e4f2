"""The Spark session of a job that runs with or without spark-submit: training and replay."""

from __future__ import annotations

import os
import sys

from pyspark.sql import SparkSession

from lib.setup.class_archive import join_class_path, list_jvm_options, provide_spark_home
from lib.setup.java import find_java
from lib.setup.log_settings import LOG_SETTINGS, name_log_option
from lib.setup.places import PROJECT_ROOT
from lib.spark.defaults import read_spark_defaults
from lib.spark.session import apply_runtime_settings, build_session
from lib.spark.task_slots import name_local_master

# Of conf/spark-defaults.conf. Over TCP each Python task waits 40 ms for its first batch.
_KEPT = ("spark.driver.memory", "spark.python.unix.domain.socket.enabled")


def build_local_session(name: str) -> SparkSession:
    """Join the session that spark-submit prepared, or start a quiet local one.

    Raises:
        SetupError: there is no Java that Spark runs on.
    """
    # Set by spark-submit, which has started the JVM with the user's settings.
    if "PYSPARK_GATEWAY_PORT" in os.environ or SparkSession.getActiveSession() is not None:
        return build_session(name)
    _prepare_workers()
    defaults = read_spark_defaults()
    options = list_jvm_options(find_java())
    if LOG_SETTINGS.is_file():
        options.append(name_log_option())
    jvm_options = [defaults["spark.driver.extraJavaOptions"], *(f'"{it}"' for it in options)]
    settings = {
        "spark.master": name_local_master(),
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
        **{name: defaults[name] for name in _KEPT},
        "spark.driver.extraClassPath": join_class_path(),
        "spark.driver.extraJavaOptions": " ".join(jvm_options),
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
    }
    builder = SparkSession.builder.appName(name)
    for key, value in settings.items():
        builder = builder.config(key, value)
    session = builder.getOrCreate()
    apply_runtime_settings(session)
    return session


def _prepare_workers() -> None:
    """Let Python workers be this Python, and find ``lib``; they inherit the environment."""
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    os.environ.setdefault("SPARK_HOME", str(provide_spark_home()))
    paths = [str(PROJECT_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    os.environ["PYTHONPATH"] = os.pathsep.join(paths)
