"""Path and device are named where Spark finds no space."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lib.errors import DiskFullError, QueryFailedError
from lib.spark.full_disk import name_full_places, naming_device, quiet_log
from lib.spark.quoting import name_local_path
from tests.support.small_disk import small_disk

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


@pytest.fixture
def full(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "small disk") as place:
        yield place


def test_a_query_that_failed_for_a_full_device_names_the_checkpoint(
    full: Path, tmp_path: Path
) -> None:
    (full / "rest").write_bytes(b"\0" * 12_000)
    failure = QueryFailedError("the query failed: java.io.IOException: No space left on device")
    cause = failure.__cause__ = OSError()
    places = [f"file://{full}/check point", str(tmp_path), "s3a://bucket/x", "hdfs:///y"]

    named = name_full_places(failure, places)

    assert type(named) is QueryFailedError
    assert named.is_transient
    assert named.message == (
        "the query failed: java.io.IOException: No space left on device: full is"
        f" {full}/check point on tmpfs, which is mounted at {full}"
    )
    assert named.__cause__ is cause
    # Another error, or places with space, add nothing.
    other = QueryFailedError("the query failed: java.io.IOException: connection reset")
    assert name_full_places(other, places) is other
    assert name_full_places(failure, [str(tmp_path), "s3a://bucket/x"]) is failure


def test_what_spark_cannot_write_is_one_line_and_no_trace(
    spark: SparkSession, full: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    frame = spark.range(200_000)

    with pytest.raises(DiskFullError) as refusal, quiet_log(), naming_device(str(full / "model")):
        frame.write.parquet(name_local_path(full / "model"))

    assert refusal.value.message.startswith(
        f"{full}/model: java.io.IOException: No space left on device"
    )
    printed = capfd.readouterr().err
    assert "Exception" not in printed
    assert "ERROR" not in printed
    assert spark.range(3).count() == 3
