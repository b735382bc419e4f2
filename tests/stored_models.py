"""Models for long runs outside of pytest: made once, and kept with the jars."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from lib.setup.jars import BUILD_ROOT, PROJECT_ROOT

_STORE = BUILD_ROOT / "trial-models"


def provide_store() -> Path:
    """A store with two versions of the model ``churn``, and what they say about every customer.

    See ``tests/crash/models.py``.
    """
    if not (_STORE / "probabilities.json").exists():
        shutil.rmtree(_STORE, ignore_errors=True)
        command = [sys.executable, "-m", "tests.crash.models", str(_STORE)]
        subprocess.run(command, check=True, capture_output=True, cwd=PROJECT_ROOT)
    return _STORE
