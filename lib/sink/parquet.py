"""Writes messages to Parquet files, which people and programs read without Kafka."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from py4j.protocol import Py4JJavaError  # type: ignore[import-untyped]  # it ships no types
from pyspark.errors import PySparkException
from pyspark.sql import Column, DataFrame, Observation, SparkSession
from pyspark.sql import functions as F

from lib.decode.engines.spark_violations import VIOLATION_TYPE
from lib.errors import SinkError
from lib.messages import dead_letter as messages
from lib.messages.dead_letter import DeadLetterFormat, ErrorType, OutputSettings
from lib.record.contract import Contract
from lib.record.prediction import list_fields
from lib.score.workers.failures import FailureTally
from lib.sink.kept import keep_on_disk
from lib.spark.failed_query import find_failing_model
from lib.spark.quoting import quote
from lib.spark.root_cause import find_root_cause

PREDICTIONS = "predictions"
DEAD_LETTERS = "dead_letters"
_SOURCE_COLUMNS = ("source_topic", "source_partition", "source_offset")
_ENVELOPE_SCHEMA = (
    f"error_type string, error_message string, validation_errors array<{VIOLATION_TYPE}>"
)


@dataclass(frozen=True)
class ParquetReport:
    """The numbers of rows that were written."""

    predictions: int
    dead_letters: int


class ParquetSink:
    """Writes the messages of a batch job to ``<root>/predictions`` and ``<root>/dead_letters``.

    Guarantee: each message is written once. Spark's own committer writes each of the two folders
    whole or not at all, predictions last: if ``predictions/_SUCCESS`` exists, everything does. The
    plan runs once; its result is kept on the executors' disks until both are written.

    Predictions have the message's fields as columns, with the same values that the stream sends (a
    probability has 6 decimals, ``event_ts`` is the text of the record), key and headers, and the
    position of the record they answer. Dead letters have key, value and headers exactly as the
    stream sends them, so that Spark's Kafka sink can send them on, and the error as columns.

    On failure: the files of earlier steps stay, and the next run refuses the folder unless it may
    overwrite it. Runs in the executors.

    Args:
        root: the folder or URL.
        overwrite: whether to replace the files of an earlier replay.
    """

    def __init__(self, root: str, *, overwrite: bool = False) -> None:
        self._root = root.rstrip("/") or "/"
        self._overwrite = overwrite

    def check(self, records: DataFrame) -> None:
        """Refuse a folder with something in it; with ``overwrite``, one that ``records`` come from.

        Raises:
            SinkError: a folder is refused; the error names it.
        """
        place = _Place(records.sparkSession, self._root)
        if not self._overwrite:
            if not place.is_empty():
                raise SinkError(
                    f"--output {self._root} is not empty",
                    hint="name another folder, or replace what is there with --overwrite",
                )
            return
        for folder in (PREDICTIONS, DEAD_LETTERS):
            if any(place.holds(folder, file) for file in records.inputFiles()):
                raise SinkError(
                    f"--output {self._root} would overwrite {folder}, which --input reads",
                    hint="name another folder",
                )

    def write(
        self,
        frame: DataFrame,
        output: OutputSettings,
        contract: Contract,
        tally: FailureTally | None = None,
    ) -> ParquetReport:
        """Run the plan and write its messages.

        Args:
            frame: the messages, with the columns of ``lib.messages.columns.MESSAGE_SCHEMA``.
            output: the topics and the format of the messages.
            contract: the contract of the records, which names the fields of predictions.
            tally: the tally for a model in the JVM, which may stop the work before any prediction
                is written; None where workers count for themselves.

        Raises:
            ModelFailingError: the model fails on nearly all records.
            SinkError: the plan failed, or its result cannot be written.
        """
        try:
            return self._write(frame, output, contract, tally)
        except (PySparkException, Py4JJavaError) as error:
            if (failing := find_failing_model(error)) is not None:
                raise failing from error
            raise SinkError(
                f"reading, scoring or writing to --output {self._root} failed:"
                f" {find_root_cause(error)}",
                hint="--verbose shows the whole trace; start again with --overwrite",
            ) from error

    def _write(
        self,
        frame: DataFrame,
        output: OutputSettings,
        contract: Contract,
        tally: FailureTally | None,
    ) -> ParquetReport:
        # This file is written last and means that all is there; one of an older replay has to go.
        _Place(frame.sparkSession, self._root).remove(f"{PREDICTIONS}/_SUCCESS")
        predictions = F.col("topic") == output.output_topic
        with keep_on_disk(frame) as kept:
            letters = _dead_letters(kept.where(~predictions), output)
            is_failed = F.col("error_type") == str(ErrorType.INFERENCE)
            dead_letters_count, failed = self._write_folder(DEAD_LETTERS, letters, is_failed)
            if tally is not None and failed:
                tally.note(kept.where(predictions).count() + failed, failed)
            predictions_count, _ = self._write_folder(
                PREDICTIONS, _predictions(kept.where(predictions), output, contract)
            )
        return ParquetReport(predictions_count, dead_letters_count)

    def _write_folder(
        self, folder: str, frame: DataFrame, counted_too: Column | None = None
    ) -> tuple[int, int]:
        """Write a folder; return the number of rows, and of those for which the column is true."""
        observation = Observation(folder)
        more = F.lit(False) if counted_too is None else counted_too
        counted = frame.observe(
            observation, F.count(F.lit(1)).alias("rows"), F.count_if(more).alias("more")
        )
        mode = "overwrite" if self._overwrite else "errorifexists"
        counted.write.mode(mode).parquet(f"{self._root}/{folder}")
        found = observation.get
        return int(found["rows"]), int(found["more"])


def _predictions(frame: DataFrame, output: OutputSettings, contract: Contract) -> DataFrame:
    fields = list_fields(contract, reasons=output.reasons is not None)
    schema = ", ".join(f"{quote(field.name)} {field.spark_type}" for field in fields)
    value = F.from_json(F.col("value").cast("string"), schema)
    columns = ("key", "headers", *_SOURCE_COLUMNS)
    return frame.select(value.alias("fields"), *columns).select("fields.*", *columns)


def _dead_letters(frame: DataFrame, output: OutputSettings) -> DataFrame:
    if output.dead_letter_format is DeadLetterFormat.HEADERS:
        error_type = _header_expr(messages.HEADER_CLASS)
        message = _header_expr(messages.HEADER_MESSAGE)
        violations = F.from_json(
            _header_expr(messages.HEADER_VIOLATIONS), f"array<{VIOLATION_TYPE}>"
        )
    else:
        envelope = F.from_json(F.col("value").cast("string"), _ENVELOPE_SCHEMA)
        error_type, message = envelope["error_type"], envelope["error_message"]
        violations = envelope["validation_errors"]
    return frame.select(
        error_type.alias("error_type"),
        message.alias("error_message"),
        violations.alias("violations"),
        "key",
        "value",
        "headers",
        *_SOURCE_COLUMNS,
    )


def _header_expr(name: str) -> Column:
    """Return a string column with the value of a header."""
    found = F.filter("headers", lambda header: header["key"] == name)
    return F.try_element_at(found, F.lit(1))["value"].cast("string")


class _Place:
    """A folder on any file system that Spark knows, through Hadoop's API."""

    def __init__(self, spark: SparkSession, root: str) -> None:
        # Py4J has no types; these are org.apache.hadoop.fs.Path and FileSystem.
        jvm: Any = spark._jvm
        self._path_class, self._url_class = jvm.org.apache.hadoop.fs.Path, jvm.java.net.URI
        self._root: Any = self._path_class(root)
        configuration = spark.sparkContext._jsc.hadoopConfiguration()
        self._files: Any = self._root.getFileSystem(configuration)

    def is_empty(self) -> bool:
        if not self._files.exists(self._root):
            return True
        status = self._files.getFileStatus(self._root)
        return bool(status.isDirectory()) and not self._files.listStatus(self._root)

    def remove(self, file: str) -> None:
        """Remove a file below the root, if it exists."""
        self._files.delete(self._path_class(self._root, file), False)

    def holds(self, folder: str, file: str) -> bool:
        """Tell whether a file, given as one of Spark's URLs, is in that folder below the root."""
        inside = self._files.makeQualified(self._path_class(self._root, folder)).toString()
        return bool(self._path_class(self._url_class(file)).toString().startswith(f"{inside}/"))
