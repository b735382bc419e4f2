"""Provide versions in a store: real models, and files in place of models."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from lib.drift.profile import build_profile
from lib.record.contract import Contract
from lib.score.registry import BACKENDS
from lib.setup.places import BUILD_ROOT, PROJECT_ROOT
from lib.store import ModelStore, ModelVersion, Probed, installed_libraries
from lib.store.version import PROFILE_ARTEFACT
from tests.support.telco import CUSTOMER

if TYPE_CHECKING:  # pure tests must not even import it
    from pyspark.sql import SparkSession

_ROWS = 2_000
_STORE = BUILD_ROOT / "trial-models"


def provide_store() -> Path:
    """Return a store with two versions of ``churn``, and what they say about every customer.

    ``tests/crash/models.py`` makes the store once, and keeps it beside the jars.
    """
    made = (_STORE / "probabilities.json", _STORE / "churn" / "1" / PROFILE_ARTEFACT)
    if not all(it.exists() for it in made):
        shutil.rmtree(_STORE, ignore_errors=True)
        command = [sys.executable, "-m", "tests.crash.models", str(_STORE)]
        subprocess.run(command, check=True, capture_output=True, cwd=PROJECT_ROOT)
    return _STORE


def fit_version(spark: SparkSession, root: Path, number: int) -> None:
    """Fit and save the next version of ``churn`` in a store, for all backends.

    Args:
        spark: a session to fit with.
        root: folder of the store.
        number: number of the version, and seed of the customers on which it is fitted.
    """
    from lib.score.admission.artefacts import probe_artefacts
    from lib.training.data import make_training_data
    from lib.training.training import fit, write_artefacts

    data = make_training_data(_ROWS, seed=number, contract=CUSTOMER)
    fitted = fit(data, seed=number, spark=spark, contract=CUSTOMER)
    scores = fitted.sklearn.predict_proba(data.features)[:, 1]
    profile = build_profile(data.features, scores, CUSTOMER)

    def write_files(folder: Path) -> None:
        write_artefacts(fitted, folder)
        (folder / PROFILE_ARTEFACT).write_text(profile.to_json())

    ModelStore(root).save(
        "churn",
        write_files,
        probe=partial(probe_artefacts, contract=CUSTOMER, session=spark),
        metrics={},
        threshold=0.4,
        contract=CUSTOMER,
        libraries=installed_libraries(),
        training={"rows": _ROWS},
        now=datetime(2026, 1, number, tzinfo=UTC),
    )


def claim_probed(folder: Path) -> dict[str, Probed]:
    """Claim for files in place of models that they have scored."""
    return {
        name: Probed(f"test/{name}", 1)
        for name, kind in BACKENDS.items()
        if (folder / kind.artefact).exists()
    }


def save_version(
    store: ModelStore, write: Callable[[Path], None], contract: Contract = CUSTOMER
) -> ModelVersion:
    """Save a version of ``churn`` that nobody has trained: its files may have any content."""
    return store.save(
        "churn",
        write,
        probe=claim_probed,
        metrics={},
        threshold=0.5,
        contract=contract,
        libraries={},
        training={},
        now=datetime(2026, 1, 1, tzinfo=UTC),
    )
