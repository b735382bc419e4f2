"""Models for long runs outside of pytest: trained once, by the real training job."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from lib.jars import BUILD_ROOT, PROJECT_ROOT
from lib.store import ModelStore

_STORE = BUILD_ROOT / "trial-models"
_ROWS = 2_000


def provide_store(versions: int = 1) -> Path:
    """A store with at least that many versions of the model ``churn``, all slightly different."""
    store = ModelStore(_STORE)
    for number in range(len(store.versions("churn")), versions):
        command = [sys.executable, str(PROJECT_ROOT / "jobs" / "train.py"), "--store", str(_STORE)]
        command += ["--name", "churn", "--rows", str(_ROWS), "--seed", str(number + 1)]
        subprocess.run(command, check=True, capture_output=True)
    return _STORE
