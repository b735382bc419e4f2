"""Run code in a new Python process, because an import or a session cannot be undone."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence

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
