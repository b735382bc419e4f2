"""Describe machine, versions and settings of a measurement. Unknown facts are None."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import confluent_kafka
import psutil

from lib.setup.jars import JarSet, list_jars
from lib.setup.java import find_java
from lib.setup.places import PROJECT_ROOT

Facts = dict[str, str | int | float | bool | None]

_PACKAGES = ("pyspark", "scikit-learn", "numpy", "pandas", "pyarrow", "orjson", "confluent-kafka")
# These variables change the speed. Others are not reported, because they might hold private facts.
_PREFIXES = ("OMP_", "OPENBLAS_", "MKL_", "MALLOC_", "JAVA_HOME", "SPARK_HOME")


# The tests set a quick compiler and the like, but a benchmark measures what users run.
_LEFT_OUT = ("SPARK_SUBMIT_OPTS",)


def leave_out_variables() -> list[str]:
    """Remove variables that would spoil a measurement from the environment; return their names."""
    return [name for name in _LEFT_OUT if os.environ.pop(name, None) is not None]


def describe_machine() -> Facts:
    """Describe processor, cores, memory and system."""
    return {
        "cpu": _read_cpu_model(),
        "cores": len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "system": f"{platform.system()} {platform.release()}",
        "load_before": round(os.getloadavg()[0], 2),
    }


def describe_versions(is_embedded: bool) -> Facts:
    """Return versions of all software that records pass; the broker's only if it is embedded."""
    versions: Facts = {"python": platform.python_version(), "java": find_java().version}
    for package in _PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = None
    versions["librdkafka"] = confluent_kafka.libversion()[0]
    versions["kafka-clients"] = _find_jar_version(JarSet.CONNECTOR, "kafka-clients")
    versions["kafka-broker"] = (
        _find_jar_version(JarSet.BROKER, "kafka_2.13") if is_embedded else None
    )
    return {**versions, **describe_revision()}


def describe_revision() -> Facts:
    """Return the commit of this clone, and whether a file that is not a document differs from it.

    Documents change no figure, and a report that is stored among them is a change itself.
    """
    changes = _git("status", "--porcelain", "--untracked-files=no", "--", ".", ":(exclude)docs")
    return {
        "commit": _git("rev-parse", "--short=12", "HEAD"),
        "is_changed": None if changes is None else bool(changes),
    }


def read_variables() -> dict[str, str]:
    """Return the environment variables that change the speed."""
    return {name: value for name, value in sorted(os.environ.items()) if name.startswith(_PREFIXES)}


def _read_cpu_model() -> str | None:
    path = Path("/proc/cpuinfo")
    if path.is_file():
        for line in path.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or None


def _find_jar_version(jar_set: JarSet, name: str) -> str | None:
    prefix = f"{name}-"
    stems = (jar.stem for jar in list_jars(jar_set))
    return next((stem.removeprefix(prefix) for stem in stems if stem.startswith(prefix)), None)


def _git(*arguments: str) -> str | None:
    """Read the revision of this clone from git; None outside a clone."""
    try:
        done = subprocess.run(
            ["git", *arguments], cwd=PROJECT_ROOT, capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()
