"""A broken pipe ends a Python worker in silence, but raises an error inside its model."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest

from lib.spark.worker_end import raise_broken_pipes

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_SEEN = "within boolean, afterwards boolean, by_unix_socket boolean"


def _look(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    for _ in batches:
        with raise_broken_pipes():
            with raise_broken_pipes():
                pass
            within = signal.getsignal(signal.SIGPIPE) is signal.SIG_IGN
            reader, writer = os.pipe()
            os.close(reader)
            try:
                os.write(writer, b"x")
                within = False
            except BrokenPipeError:
                pass
            os.close(writer)
        yield pa.RecordBatch.from_pydict(
            {
                "within": [within],
                "afterwards": [signal.getsignal(signal.SIGPIPE) is signal.SIG_DFL],
                "by_unix_socket": [os.environ["PYTHON_UNIX_DOMAIN_ENABLED"].lower() == "true"],
            }
        )


@pytest.mark.spark
def test_a_worker_ends_in_silence_and_its_model_does_not(spark: SparkSession) -> None:
    for _ in range(2):
        rows = spark.range(0, 4, 1, 4).mapInArrow(_look, _SEEN).collect()
        assert {tuple(row) for row in rows} == {(True, True, True)}


def test_other_processes_are_left_alone() -> None:
    before = signal.getsignal(signal.SIGPIPE)
    with raise_broken_pipes():
        assert signal.getsignal(signal.SIGPIPE) is before
    assert signal.getsignal(signal.SIGPIPE) is before


def test_a_broken_block_leaves_other_processes_alone() -> None:
    before = signal.getsignal(signal.SIGPIPE)
    with pytest.raises(ValueError, match="broken"), raise_broken_pipes():
        raise ValueError("broken")
    assert signal.getsignal(signal.SIGPIPE) is before
