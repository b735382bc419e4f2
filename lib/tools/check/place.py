"""Checks the machine or the container: versions, memory, disks."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from pathlib import Path

from pyspark import __version__ as pyspark_version

from lib import __version__
from lib.errors import FileError
from lib.file_errors import find_local_path, find_mount, look_at_folder, measure_free_bytes
from lib.findings import Finding, Severity
from lib.setup.java import MINIMUM_JAVA, find_java
from lib.setup.launch import read_spark_defaults
from lib.setup.machine import LOOPBACK, check_loopback, check_user
from lib.stream.start_log import find_commit
from lib.tools.check.examination import Examination

GIB = 1024**3
_CONNECTOR = "spark.jars.packages"


def check_place(examination: Examination) -> None:
    """Check what a start needs before Spark and Kafka are asked anything."""
    commit = find_commit() or "unknown"
    examination.note("program", f"version {__version__}, commit {commit}")
    examination.note("Python", platform.python_version(), "3.11 or newer")
    expected = f"{MINIMUM_JAVA} or newer"
    java = examination.attempt("Java", find_java, expected)
    if java is not None:
        examination.note("Java", f"{java.version}, by {java.found_by}", expected)
    examination.add(judge_spark(pyspark_version, read_spark_defaults()[_CONNECTOR]))
    if examination.passes("user", check_user):
        examination.note("user", f"id {os.geteuid()}, with a name", "a name")
    if examination.passes("loopback interface", check_loopback):
        examination.note("loopback interface", LOOPBACK, LOOPBACK)


def judge_spark(installed: str, package: str) -> Finding:
    """Compare the versions of Spark and of its Kafka connector. Pure.

    Args:
        installed: the version of Spark.
        package: the connector, as ``group:artefact:version``.
    """
    version = package.rpartition(":")[2]
    if installed == version:
        return Finding.ok("Spark", installed, version)
    return Finding(
        *(Severity.WARNING, "Spark", installed, version),
        f"Spark is {installed}, and the project was tried with {version} and its connector",
        f"install pyspark {version}, or run `make setup`",
    )


def check_disks(examination: Examination, places: Sequence[tuple[str, str]]) -> None:
    """Check that folders can be written and that there is space, without writing anything.

    Args:
        examination: the findings.
        places: (name of the place, path or URL); those of other file systems are left out.
    """
    for name, place in dict.fromkeys(places):
        local = find_local_path(place)
        if local is not None:
            examination.add(look_at_place(name, Path(local)))


def look_at_place(name: str, folder: Path) -> Finding:
    """Look whether a folder can be written, and how much space there is."""
    expected = "a folder that this user may write, with 1 GiB of space"
    try:
        look_at_folder(folder)
        free = measure_free_bytes(folder)
    except FileError as error:
        return Finding.failed(name, error, expected)
    mount = find_mount(str(folder))
    device = "its device" if mount is None else f"{mount.device} at {mount.folder}"
    return judge_space(name, f"{folder} on {device}", free)


def judge_space(name: str, place: str, free: int) -> Finding:
    """Compare the free space with what a job may need. Pure.

    Args:
        name: the name of the place.
        place: path and device.
        free: the number of free bytes.
    """
    found, expected = f"{place}: {free / GIB:.1f} GiB free", "1 GiB or more"
    if free >= GIB:
        return Finding.ok(name, found, expected)
    return Finding(
        *(Severity.WARNING, name, found, expected),
        f"{place} has {free / GIB:.1f} GiB left: a job on a full disk fails, and tries again",
        "free some space, or name another place",
    )
