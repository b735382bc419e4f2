"""Turns Spark's error of a query or batch into one that names the remedy."""

from __future__ import annotations

import re

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
from lib.spark.root_cause import find_raised, find_root_cause, list_causes

# Words of the root cause → the error. All other errors may pass: executors and brokers come and go,
# and a restart costs seconds.
_SECOND_DRIVER = ("CONCURRENT_STREAM_LOG_UPDATE", "Concurrent update to the log")
_DATA_LOSS = ("failOnDataLoss", "KAFKA_DATA_LOSS", "OffsetOutOfRange", "data may have been lost")
# The words of Spark's Kafka source about a timestamp that exceeds 64 bits in microseconds.
_BAD_TIMESTAMP = re.compile(r"topic (\S+) partition (\d+) offset (\d+) has timestamp value (-?\d+)")
_TOO_LARGE = ("spark.driver.maxResultSize",)
_NEVER_PASSES = (
    "AnalysisException",
    "INCOMPATIBLE_",
    "UNRESOLVED_",
    "STREAM_FAILED_BAD_CHECKPOINT",
    "STREAMING_REAL_TIME_MODE",
)
# Errors of a Python worker that a second try meets again, in the words of ``lib.spark.root_cause``:
# neither a lost connection nor a lack of memory.
_WORKER_FAULT = re.compile(
    r"(?:\w+\.)*(AssertionError|AttributeError|ImportError|IndexError|KeyError|ModuleNotFoundError"
    r"|NameError|TypeError|UnpicklingError|ValueError) in a Python worker"
)
_MISSING_PACKAGE = ("ImportError", "ModuleNotFoundError")


def build_query_error(what: str, error: BaseException) -> SinkError:
    """Build the error to raise ``from`` Spark's error.

    Args:
        what: the beginning of the message, such as "the query failed".
        error: the error that PySpark has raised.
    """
    if (failing := find_failing_model(error)) is not None:
        return failing
    cause = find_root_cause(error)
    message = f"{what}: {cause}"
    whole = f"{cause} {error}"
    if _mentions(whole, _SECOND_DRIVER):
        return SinkFencedError(
            f"{message}; another driver writes to the same checkpoint",
        )
    if _mentions(cause, _DATA_LOSS):
        return SourceRecordsGoneError(message)
    if found := next(filter(None, map(_BAD_TIMESTAMP.search, list_causes(error))), None):
        topic, partition, offset, value = found.groups()
        place = f"{topic}[{partition}]@{offset}"
        return SourceTimestampError(f"{what}: {place} has the Kafka timestamp {value}")
    if _mentions(whole, _TOO_LARGE):
        return BatchTooLargeError(message)
    if _mentions(cause, _NEVER_PASSES):
        return PlanRefusedError(message, hint="--verbose shows the whole trace")
    if fault := _WORKER_FAULT.match(cause):
        package = __name__.partition(".")[0]
        packages = f"{package} and the packages of requirements/"
        hint = f"the executors need {packages}, in the driver's versions"
        return WorkerError(message, hint=hint if fault[1] in _MISSING_PACKAGE else None)
    return QueryFailedError(message)


def find_failing_model(error: BaseException) -> ModelFailingError | None:
    """Find the error of a worker that has stopped because the model fails; None for another error.

    Its words are the only ones of a worker that are told: they hold no contents of records.

    Args:
        error: the error that PySpark has raised.
    """
    raised = find_raised(list_causes(error)[-1])
    if raised is None or raised.kind.rpartition(".")[2] != ModelFailingError.__name__:
        return None
    return ModelFailingError(raised.words.removesuffix(f" ({ModelFailingError.remedy})"))


def _mentions(text: str, words: tuple[str, ...]) -> bool:
    return any(word in text for word in words)
