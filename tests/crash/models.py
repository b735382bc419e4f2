"""Make two versions of a model, and note what each says about every customer of the pool.

``python -m tests.crash.models FOLDER`` makes them in a separate process, so that no JVM is left in
the process of the laboratory.
"""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from lib.spark.local_session import build_local_session
from lib.store import ModelStore
from tests.crash.arena import MODEL_NAME
from tests.support.expected import expect_probabilities
from tests.support.ledger import Probabilities
from tests.support.numbered import NumberedRecords
from tests.support.stored_models import fit_version

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

RECORDS = NumberedRecords()
_PROBABILITIES = "probabilities.json"


def make_models(spark: SparkSession, folder: Path) -> None:
    """Fit two different versions on different customers; the first version is the champion."""
    fit_version(spark, folder, number=1)
    add_rival(spark, folder)


def add_rival(spark: SparkSession, folder: Path) -> None:
    """Fit versions beside the first, and note what all of them say about every customer.

    The third is the challenger, and the fourth, which differs from it in the threshold, the shadow.
    """
    fit_version(spark, folder, number=2)
    fit_version(spark, folder, number=3)
    store = ModelStore(folder)
    store.save_again(
        store.resolve(f"{MODEL_NAME}@3"),
        threshold=0.5,
        origin={},
        now=datetime(2026, 1, 2, tzinfo=UTC),
        amend=lambda folder: None,
    )
    store.promote(MODEL_NAME, 1)
    expected = expect_probabilities(folder, RECORDS, name=MODEL_NAME, versions=(1, 2), spark=spark)
    expected |= expect_probabilities(
        folder, RECORDS, name=MODEL_NAME, versions=(3, 4), backends=("onnx", "sklearn")
    )
    (folder / _PROBABILITIES).write_text(json.dumps(expected))


def read_probabilities(folder: Path) -> Probabilities:
    """Read what the models say; see :func:`make_models`."""
    found: dict[str, list[float]] = json.loads((folder / _PROBABILITIES).read_text())
    return found


if __name__ == "__main__":
    session = build_local_session("models")
    make_models(session, Path(sys.argv[1]))
    session.stop()
