from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from tests.crash.arena import Setup
from tests.crash.models import RECORDS, add_rival, read_probabilities
from tests.end_to_end.conftest import deployment

__all__ = ["deployment"]


@pytest.fixture(scope="package")
def setup(
    spark: SparkSession, model_store: Path, tmp_path_factory: pytest.TempPathFactory
) -> Setup:
    """Two models to choose from, and what they must say."""
    store = tmp_path_factory.mktemp("laboratory") / "models"
    shutil.copytree(model_store, store)
    add_rival(spark, store)
    return Setup(
        store=store,
        probabilities=read_probabilities(store),
        records=RECORDS,
        # Who takes over from a stopped job waits for the end of its lease.
        job_options={"lease": "5"},
    )
