"""Names the device where Spark has found no space, which its errors do not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from tempfile import gettempdir
from typing import Any

from py4j.protocol import Py4JJavaError  # type: ignore[import-untyped]  # it ships no types
from pyspark.sql import SparkSession

from lib.errors import DiskFullError, ScoringError
from lib.file_errors import NO_SPACE, find_full, find_local_path
from lib.spark.root_cause import find_root_cause
from lib.spark.session import wait_for_tasks

_HINT = "free some space there"


def name_full_places(failure: ScoringError, places: Sequence[str]) -> ScoringError:
    """Find out which of some places are full, if an error tells of a full device.

    Args:
        failure: an error with the words of the JVM or of the operating system.
        places: local paths, or URLs; those of other file systems are left out.

    Returns:
        The same error with path and device, or ``failure`` itself if there is nothing to add.
    """
    if NO_SPACE not in failure.message:
        return failure
    full = find_full([path for it in places if (path := find_local_path(it)) is not None])
    if not full:
        return failure
    named = type(failure)(f"{failure.message}: full is {', '.join(full)}", hint=_HINT)
    named.__cause__ = failure.__cause__
    return named


def list_local_folders(spark: SparkSession) -> list[str]:
    """List the folders where Spark keeps what it computes."""
    folders = spark.sparkContext.getConf().get("spark.local.dir") or gettempdir()
    return folders.split(",")


@contextmanager
def naming_device(path: str) -> Iterator[None]:
    """Turn Spark's error about a full device in a block into one that names the device.

    Args:
        path: the folder that Spark writes to.

    Raises:
        DiskFullError: no space is left.
    """
    try:
        yield
    except Py4JJavaError as error:
        cause = find_root_cause(error)
        if NO_SPACE not in cause:
            raise
        raise name_full_places(DiskFullError(f"{path}: {cause}"), [path]) from error


@contextmanager
def quiet_log() -> Iterator[None]:
    """Let Spark log nothing while the block runs, whose error tells all in one line."""
    session = SparkSession.active()
    context = session.sparkContext
    jvm: Any = context._jvm
    before = str(jvm.org.apache.logging.log4j.LogManager.getRootLogger().getLevel())
    context.setLogLevel("OFF")
    try:
        yield
    finally:
        wait_for_tasks(session)  # the tasks beside one that failed write traces too
        context.setLogLevel(before)
