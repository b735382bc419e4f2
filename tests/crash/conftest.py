from __future__ import annotations

import pytest
from pyspark.sql import SparkSession

from tests.crash.arena import Setup
from tests.crash.models import RECORDS, make_models, read_probabilities
from tests.end_to_end.conftest import deployment

__all__ = ["deployment"]


@pytest.fixture(scope="package")
def setup(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Setup:
    """Two models to choose from, and what they must say."""
    store = tmp_path_factory.mktemp("models")
    make_models(spark, store)
    return Setup(store=store, probabilities=read_probabilities(store), records=RECORDS)
