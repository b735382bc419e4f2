"""Versions in a store: models for long runs outside of pytest, and files in place of models."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from lib.record.contract import Contract
from lib.setup.places import BUILD_ROOT, PROJECT_ROOT
from lib.store import ModelStore, ModelVersion
from tests.support.telco import CUSTOMER

_STORE = BUILD_ROOT / "trial-models"


def provide_store() -> Path:
    """A store with two versions of the model ``churn``, and what they say about every customer.

    It is made once, and kept with the jars. See ``tests/crash/models.py``.
    """
    if not (_STORE / "probabilities.json").exists():
        shutil.rmtree(_STORE, ignore_errors=True)
        command = [sys.executable, "-m", "tests.crash.models", str(_STORE)]
        subprocess.run(command, check=True, capture_output=True, cwd=PROJECT_ROOT)
    return _STORE


def save_version(
    store: ModelStore, write: Callable[[Path], None], contract: Contract = CUSTOMER
) -> ModelVersion:
    """Save a version of the model ``churn`` that nobody has trained: any files do."""
    return store.save(
        "churn",
        write,
        metrics={},
        threshold=0.5,
        contract=contract,
        libraries={},
        training={},
        now=datetime(2026, 1, 1, tzinfo=UTC),
    )
