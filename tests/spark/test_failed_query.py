"""Spark's messages of failures are classified; the texts come from real failures."""

from __future__ import annotations

import pytest

from lib.errors import (
    BatchTooLargeError,
    ModelFailingError,
    PlanRefusedError,
    QueryFailedError,
    SinkError,
    SinkFencedError,
    SourceRecordsGoneError,
    SourceTimestampError,
    WorkerError,
)
from lib.spark.failed_query import build_query_error


def worker_trace(raised: str) -> str:
    return (
        "An exception was thrown from the Python worker:\nTraceback (most recent call last):\n"
        f'  File "/app/lib/stream/one_pass.py", line 51, in score_batch\n'
        f"    raise error\n{raised}\n"
    )


NANOSECONDS = (
    "org.apache.spark.sql.kafka010.KafkaIllegalStateException: Record at topic in partition 3"
    " offset 42 has timestamp value 1767323045678901234 that overflows when converting to Spark's"
    " microsecond-precision TimestampType."
)


@pytest.mark.parametrize(
    ("words", "kind", "passes"),
    [
        (
            "[CONCURRENT_STREAM_LOG_UPDATE] Concurrent update to the log. Multiple streaming jobs"
            " detected for 7.",
            SinkFencedError,
            False,
        ),
        (
            "org.apache.spark.sql.kafka010.KafkaIllegalStateException: Partition in-0's offset was"
            " changed from 50 to 0. Some data may have been lost because they are not available",
            SourceRecordsGoneError,
            False,
        ),
        (
            "Total size of serialized results of 4 tasks (1100.0 MiB) is bigger than"
            " spark.driver.maxResultSize (1024.0 MiB)",
            BatchTooLargeError,
            False,
        ),
        ("org.apache.spark.sql.AnalysisException: [UNRESOLVED_COLUMN]", PlanRefusedError, False),
        (
            "org.apache.kafka.common.errors.TimeoutException: Timed out waiting for a node"
            " assignment. Call: describeTopics",
            QueryFailedError,
            True,
        ),
        (
            "ExecutorLostFailure (executor 1 exited caused by one of the running tasks)",
            QueryFailedError,
            True,
        ),
        ("Python worker exited unexpectedly (crashed)", QueryFailedError, True),
        (NANOSECONDS, SourceTimestampError, False),
        (worker_trace("ModuleNotFoundError: No module named 'onnxruntime'"), WorkerError, False),
        (worker_trace("ValueError: customer 7590-VHVEG"), WorkerError, False),
        (worker_trace("MemoryError"), QueryFailedError, True),
        (worker_trace("ConnectionResetError: [Errno 104]"), QueryFailedError, True),
    ],
)
def test_only_what_may_pass_is_tried_again(words: str, kind: type[SinkError], passes: bool) -> None:
    error = build_query_error("the query failed", RuntimeError(words))

    assert type(error) is kind
    assert error.is_transient is passes
    assert error.message.startswith("the query failed: ")


def test_a_timestamp_that_spark_cannot_hold_is_named_with_its_place() -> None:
    error = build_query_error("the query failed", RuntimeError(NANOSECONDS))

    assert error.message == (
        "the query failed: in[3]@42 has the Kafka timestamp 1767323045678901234"
    )


def test_a_missing_package_names_the_way_out_and_no_error_quotes_a_record() -> None:
    missing = build_query_error("the query failed", RuntimeError(worker_trace("ImportError: x")))
    failed = build_query_error("the query failed", RuntimeError(worker_trace("KeyError: 'Ann'")))

    assert "packages of requirements/" in (missing.hint or "")
    assert failed.message == "the query failed: KeyError in a Python worker (one_pass.py, line 51)"


def test_a_model_that_fails_on_nearly_all_records_is_told_with_its_words() -> None:
    told = ModelFailingError("model m@1/onnx failed on 200 of 200 records, 100%, most often with …")
    trace = worker_trace(f"lib.errors.ModelFailingError: {told}")

    error = build_query_error("the query failed", RuntimeError(trace))

    assert type(error) is ModelFailingError
    assert (error.message, error.hint) == (told.message, told.hint)
    assert not error.is_transient
