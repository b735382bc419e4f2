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
    """Provide the settings of a campaign with two models, and the probabilities of both."""
    store = tmp_path_factory.mktemp("laboratory") / "models"
    shutil.copytree(model_store, store)
    add_rival(spark, store)
    return Setup(
        store=store,
        probabilities=read_probabilities(store),
        records=RECORDS,
        # A job that takes over from a stopped job waits until that job's lease has ended.
        job_options={"lease": "5"},
    )
