"""Builds the Spark session of a job that runs with or without spark-submit."""

from __future__ import annotations

import os
from collections.abc import Mapping

from pyspark.sql import SparkSession

from lib.setup.launch import build_local_settings, build_variables, lend_variables
from lib.spark.session import apply_runtime_settings, build_session


def build_local_session(name: str) -> SparkSession:
    """Join the session that spark-submit prepared, or start a quiet local one.

    Raises:
        SetupError: there is no Java that Spark runs on.
    """
    # spark-submit sets it, and has started the JVM with the user's settings.
    if "PYSPARK_GATEWAY_PORT" in os.environ or SparkSession.getActiveSession() is not None:
        return build_session(name)
    return start_local_session(name, build_local_settings(), build_variables(os.environ))


def start_local_session(
    name: str, settings: Mapping[str, str], variables: Mapping[str, str]
) -> SparkSession:
    """Start a session in a JVM of this process.

    Args:
        name: the name of the application.
        settings: the settings of Spark.
        variables: the environment variables of the JVM and its Python workers.
    """
    builder = SparkSession.builder.appName(name)
    for key, value in settings.items():
        builder = builder.config(key, value)
    with lend_variables(variables):
        session = builder.getOrCreate()
    apply_runtime_settings(session)
    return session
