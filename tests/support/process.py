"""Run code in a new Python process, and find the Python workers of a job."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress

import psutil

from lib.setup.places import PROJECT_ROOT


def run_python(
    *arguments: str, launcher: Sequence[str] = (), **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run this interpreter in the project's folder, through the launcher, at most two minutes."""
    own = {"PYSPARK_PYTHON": sys.executable, "SPARK_LOCAL_IP": "127.0.0.1", **environment}
    return subprocess.run(
        [*launcher, sys.executable, *arguments],
        capture_output=True,
        text=True,
        cwd=PROJECT_ROOT,
        env={**os.environ, **own},
        timeout=120,
        check=False,
    )


def find_workers(root: psutil.Process, *, with_daemon: bool = False) -> list[psutil.Process]:
    """Return the Python workers below a process, which PySpark's daemon has forked.

    Args:
        root: process of the job, or of these tests.
        with_daemon: whether the daemon is among them.
    """
    family = []
    for process in root.children(recursive=True):
        with suppress(psutil.Error):  # the process may end just now
            if "pyspark.daemon" in process.cmdline():
                family.append(process)
    parents = {it.pid for it in family}
    return [it for it in family if with_daemon or it.ppid() in parents]
