from __future__ import annotations

import logging
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from lib.messages.dead_letter import OutputSettings
from lib.stream.plan import score_records
from lib.stream.route import Route
from lib.stream.warm_up import WarmUp, build_stand_ins
from tests.support.telco import CUSTOMER
from tests.support.waiting import wait_until
from tests.support.worker_scorers import FunctionScorer

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from lib.score.scorer import BatchScorer, ScoreColumns


IN_JVM = Route("jvm", "jvm", "driver", "")
IN_WORKERS = Route("workers", "workers", "driver", "")


@dataclass(frozen=True)
class Witness:
    """A model that scores in Python workers, each of which leaves a file in a folder."""

    folder: Path
    threshold: float = 0.5
    scored_by: str = "witness@1/test"

    def with_probability(self, frame: DataFrame) -> DataFrame:
        raise AssertionError("it scores in Python workers")

    def build_batch_scorer(self, session: SparkSession) -> BatchScorer:
        return FunctionScorer(self.score)

    def score(self, features: Mapping[str, Any]) -> Any:
        (self.folder / str(os.getpid())).touch()
        return np.full(len(features["tenure"]), 0.7)


class Failing(Witness):
    def build_batch_scorer(self, session: SparkSession) -> BatchScorer:
        return self

    def open(self) -> ScoreColumns:
        raise MemoryError


class Slow(Witness):
    def score(self, features: Mapping[str, Any]) -> Any:
        time.sleep(3)
        return super().score(features)


class Hanging(Witness):
    def score(self, features: Mapping[str, Any]) -> Any:
        super().score(features)
        time.sleep(600)


class Native(Witness):
    def build_batch_scorer(self, session: SparkSession) -> BatchScorer:
        raise AssertionError("it scores in the JVM")

    def with_probability(self, frame: DataFrame) -> DataFrame:
        from pyspark.sql import functions as F

        return frame.withColumn("probability", F.assert_true(F.lit(False)).cast("double"))


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a block wait for workers that a loaded machine starts slowly."""
    monkeypatch.setattr("lib.stream.warm_up._PATIENCE_S", 90.0)


def test_stand_ins_are_valid_and_each_has_its_partition(
    spark: SparkSession, tmp_path: Path
) -> None:
    records = build_stand_ins(spark, CUSTOMER, 3)

    output = OutputSettings("predictions", "dead-letters", "q")
    messages = score_records(records, Witness(tmp_path), CUSTOMER, output, IN_WORKERS)

    assert records.rdd.getNumPartitions() == 3
    assert [row.topic for row in messages.collect()] == ["predictions"] * 3


def test_workers_have_scored_when_the_block_ends(spark: SparkSession, tmp_path: Path) -> None:
    with WarmUp(spark, Witness(tmp_path), CUSTOMER, IN_WORKERS) as warm_up:
        pass

    assert warm_up.failure is None
    # Two workers have scored where both slots were free at once, which another job may prevent.
    assert 1 <= len(list(tmp_path.iterdir())) <= spark.sparkContext.defaultParallelism


def test_what_goes_wrong_is_left_to_the_first_batch(
    spark: SparkSession, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        caplog.at_level(logging.INFO, "lib"),
        WarmUp(spark, Failing(tmp_path), CUSTOMER, IN_WORKERS) as it,
    ):
        pass

    assert it.failure is None
    assert "the warm-up failed" in caplog.text


def test_a_model_in_the_jvm_starts_no_job(
    spark: SparkSession, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    # A job would fail with this model.
    with (
        caplog.at_level(logging.INFO, "lib"),
        WarmUp(spark, Native(tmp_path), CUSTOMER, IN_JVM) as it,
    ):
        pass

    assert it.failure is None
    assert caplog.text == ""


def test_a_model_in_the_jvm_whose_records_workers_decode_is_warmed_up(
    spark: SparkSession, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    scorer = Native(tmp_path)
    with (
        caplog.at_level(logging.INFO, "lib"),
        WarmUp(spark, scorer, CUSTOMER, Route("workers", "jvm", "driver", "")),
    ):
        pass

    assert "the warm-up failed" in caplog.text  # the warm-up has run


def test_the_block_waits_for_the_warm_up_even_when_it_fails(
    spark: SparkSession, tmp_path: Path
) -> None:
    with (
        pytest.raises(ValueError, match="refused"),
        WarmUp(spark, Witness(tmp_path), CUSTOMER, IN_WORKERS),
    ):
        raise ValueError("refused")

    assert list(tmp_path.iterdir()) != []


def test_the_block_does_not_wait_for_a_worker_that_hangs(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lib.stream.warm_up._PATIENCE_S", 0.1)

    with WarmUp(spark, Slow(tmp_path), CUSTOMER, IN_WORKERS) as warm_up:
        pass

    assert list(tmp_path.iterdir()) == []
    warm_up._thread.join()
    assert list(tmp_path.iterdir()) != []


def test_a_block_that_fails_ends_the_thread_of_a_worker_that_hangs(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lib.stream.warm_up._PATIENCE_S", 0.5)
    warm_up = WarmUp(spark, Hanging(tmp_path), CUSTOMER, IN_WORKERS)

    def refuse() -> None:
        wait_until(lambda: list(tmp_path.iterdir()) != [])  # a worker has begun
        monkeypatch.setattr("lib.stream.warm_up._PATIENCE_S", 60.0)
        raise ValueError("refused")

    with pytest.raises(ValueError, match="refused"), warm_up:
        refuse()

    assert not warm_up._thread.is_alive()
