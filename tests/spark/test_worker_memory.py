"""A Python worker collects garbage only at chosen moments."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pytest

from lib.messages.dead_letter import MessageSettings, OutputSettings
from lib.spark.worker_memory import exempt_what_is_loaded, pause_collection
from lib.stream.one_pass import BatchPlan
from tests.support.telco import CUSTOMER
from tests.support.worker_scorers import FunctionScorer

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_SEEN = "frozen bigint"


@pytest.fixture
def own_exemption() -> Iterator[None]:
    """Start and end as if no object had been exempted from collection yet."""
    exempt_what_is_loaded.cache_clear()
    gc.unfreeze()
    yield
    exempt_what_is_loaded.cache_clear()
    gc.unfreeze()


class TestPause:
    def test_nothing_is_collected_within(self) -> None:
        with pause_collection():
            assert not gc.isenabled()
        assert gc.isenabled()

    def test_it_is_over_after_an_error(self) -> None:
        with pytest.raises(ValueError, match="broken"), pause_collection():
            raise ValueError("broken")
        assert gc.isenabled()

    def test_who_has_turned_it_off_finds_it_off(self) -> None:
        gc.disable()
        try:
            with pause_collection():
                pass
            assert not gc.isenabled()
        finally:
            gc.enable()


@pytest.mark.usefixtures("own_exemption")
class TestExemption:
    def test_a_collection_passes_over_what_was_there(self) -> None:
        exempt_what_is_loaded()
        assert gc.get_freeze_count() > 10_000
        assert len(gc.get_objects()) < gc.get_freeze_count()

    def test_it_happens_once(self) -> None:
        exempt_what_is_loaded()
        later: list[list[int]] = [[] for _ in range(1_000)]
        frozen = gc.get_freeze_count()
        exempt_what_is_loaded()
        assert gc.get_freeze_count() < frozen + len(later)

    def test_the_plan_exempts_after_a_batch(self) -> None:
        output = OutputSettings("predictions", "dead-letters", "memory")
        plan = BatchPlan(
            FunctionScorer(lambda features: np.empty(len(features["tenure"]))),
            MessageSettings(CUSTOMER, output, 0.5, "m/1"),
        )
        batch = pa.RecordBatch.from_pydict(
            {
                "source_key": pa.array([None], pa.binary()),
                "source_value": pa.array([b"no JSON"], pa.binary()),
                "source_headers": pa.nulls(1, pa.string()),
                "source_topic": ["customers"],
                "source_partition": pa.array([0], pa.int32()),
                "source_offset": pa.array([0], pa.int64()),
                "source_timestamp": pa.array([0], pa.timestamp("us", tz="UTC")),
            }
        )
        assert [it.num_rows for it in plan(iter([batch]))] == [1]
        assert gc.get_freeze_count() > 10_000


def _look(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    for _ in batches:
        exempt_what_is_loaded()
        yield pa.RecordBatch.from_pydict({"frozen": pa.array([gc.get_freeze_count()], pa.int64())})


@pytest.mark.spark
class TestWorker:
    def test_it_stays_exempt(self, spark: SparkSession) -> None:
        for _ in range(2):
            rows = spark.range(0, 4, 1, 4).mapInArrow(_look, _SEEN).collect()
            assert min(row["frozen"] for row in rows) > 1_000
