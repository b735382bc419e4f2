"""Reads a streaming query's checkpoint: where its batches begin and end, and the sink's notes."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

from py4j.protocol import Py4JJavaError  # type: ignore[import-untyped]  # it ships no types
from pyspark.sql import SparkSession

from lib.errors import CheckpointDamagedError, ResumeRefusedError, SinkError
from lib.exactly_once.checkpoint.files import CheckpointFiles
from lib.exactly_once.checkpoint.format import ForeignOffsetsError, parse_offsets, parse_query_id
from lib.exactly_once.offsets.resume import (
    CheckpointDamage,
    CheckpointFinding,
    CheckpointPosition,
    Offsets,
)
from lib.spark.root_cause import find_root_cause

# A folder beside Spark's own, which Spark does not read.
_NOTES = "exactly-once"
_TOPIC_ID_FILE = "exactly-once/topic-id"
_REPEATS_FILE = "exactly-once/repeats"
_QUERY_NAME_FILE = "exactly-once/query-name"
_TOPIC_ID = re.compile("[0-9a-f]{32}")
_SPARK_LOGS = "org.apache.spark.sql.execution.streaming.checkpointing"


class CheckpointReader:
    """Reads one checkpoint, keeps three notes in it, and sets it aside. Runs on the driver.

    Args:
        spark: the session, which gives the JVM and Hadoop's configuration.
        location: path or URL of the checkpoint.
        topic: the source topic.
    """

    def __init__(self, spark: SparkSession, location: str, topic: str) -> None:
        self._spark = spark
        self._files = CheckpointFiles(spark, location)
        self._topic = topic

    def check_writable(self) -> None:
        """Make sure that Spark and the sink can write here.

        Raises:
            SettingsError: this user must not write; the error names the folder.
            QueryFailedError: the file system cannot write now, for a reason that may pass.
        """
        self._files.check_writable(_NOTES, "offsets", "commits")

    def check_access(self) -> None:
        """Make sure that this user may write here, without writing anything.

        Raises:
            SettingsError: this user must not write; the error names the folder.
            QueryFailedError: the file system cannot be read now.
        """
        self._files.check_access()

    def look(self) -> CheckpointFinding:
        """Find where Spark would begin its next batch, or why it cannot begin one.

        This reads every file that Spark reads at its start, with Spark's own readers too: the last
        two of the offset log, the last of the commit log, the initial offsets if no batch is
        finished, and the query's id.

        Raises:
            SinkError: the checkpoint belongs to another source.
            QueryFailedError: the file system cannot be read now.
        """
        try:
            return self._find_position()
        except CheckpointDamagedError as error:
            return CheckpointDamage(error.message)

    def refuse_damage(self) -> None:
        """Refuse a damaged checkpoint, for a query whose position only the checkpoint holds.

        Raises:
            ResumeRefusedError: the checkpoint is damaged; the error names the file.
        """
        found = self.look()
        if isinstance(found, CheckpointDamage):
            raise ResumeRefusedError(
                f"the checkpoint is damaged: {found.description}",
                hint="restore it from a backup; or remove it to begin at --starting-offsets, which"
                " answers records again or leaves some out",
            )

    def set_aside(self, now: datetime) -> str:
        """Rename the checkpoint; the query begins a new one. See ``CheckpointFiles``."""
        return self._files.set_aside(now)

    def read_end_offsets(self, batch_id: int) -> Offsets:
        """Read partition → end offset (exclusive) of a batch that was begun.

        Raises:
            CheckpointDamagedError: Spark's offset log has no such batch.
        """
        return self._read(f"offsets/{batch_id}")

    def read_start_offsets(self, batch_id: int) -> Offsets:
        """Read partition → first offset of a batch that was begun; new partitions are absent.

        Raises:
            CheckpointDamagedError: Spark's logs do not hold it.
        """
        return self._read(f"offsets/{batch_id - 1}" if batch_id > 0 else "sources/0/0")

    def read_query_id(self) -> str:
        """Read Spark's id of the query, which lives as long as the checkpoint.

        Raises:
            CheckpointDamagedError: the file is damaged or missing.
        """
        text = self._files.read_text("metadata")
        try:
            return parse_query_id(text)
        except ValueError as error:
            raise self._files.damaged("metadata", str(error)) from error

    def find_query_id(self) -> str | None:
        """Read Spark's id of the query; None if there is none, or none that can be read."""
        try:
            return self.read_query_id()
        except CheckpointDamagedError:
            return None

    def find_topic_id(self) -> str | None:
        """Read the id that :meth:`note_topic_id` has noted; None if it is absent or damaged."""
        try:
            return self._read_topic_id()
        except CheckpointDamagedError:
            return None

    def note_topic_id(self, topic_id: str) -> None:
        """Note the id of the topic that the checkpoint is made with; Spark keeps its name only.

        The stamps hold it too, but Kafka deletes the group's offsets when it deletes the topic.
        """
        if self.find_topic_id() != topic_id:
            self._files.write_text(_TOPIC_ID_FILE, topic_id)

    def find_query_name(self) -> str | None:
        """Read the name that :meth:`note_query_name` has noted; None if it is absent or damaged."""
        try:
            return self._files.read_text(_QUERY_NAME_FILE).strip()
        except CheckpointDamagedError:
            return None

    def note_query_name(self, name: str) -> None:
        """Note the name of the query that uses the checkpoint, which Spark does not keep."""
        if self.find_query_name() != name:
            self._files.write_text(_QUERY_NAME_FILE, name)

    def count_repeat(self, batch_id: int) -> int:
        """Note that a batch is about to be repeated, and return how often it has been by now."""
        count = 1
        try:
            noted = self._files.read_text(_REPEATS_FILE).split()
        except CheckpointDamagedError:
            noted = []
        match noted:
            case [batch, times] if batch == str(batch_id) and times.isdecimal():
                count += int(times)
        self._files.write_text(_REPEATS_FILE, f"{batch_id} {count}")
        return count

    def _find_position(self) -> CheckpointPosition | None:
        self._read_topic_id()
        # The order matters, because another run may finish batches meanwhile.
        finished = self._files.find_latest("commits")
        begun = self._files.find_latest("offsets")
        has_initial = self._files.exists("sources/0/0")
        is_used = has_initial or (begun, finished) != (None, None)
        if is_used or self._files.exists("metadata"):
            self.read_query_id()
        if finished is not None and finished > (-1 if begun is None else begun):
            raise self._files.damaged(f"offsets/{finished}", "is missing")
        if begun is None:
            if not has_initial:
                return None
            initial = self._read("sources/0/0")
            return CheckpointPosition(0, initial, True, self.find_query_name())
        ends = self.read_end_offsets(begun)
        self._check_with_spark("OffsetSeqLog", "offsets", begun)
        if begun > 0:
            self.read_start_offsets(begun)
            self._check_with_spark("OffsetSeqLog", "offsets", begun - 1)
        if finished is not None:
            self._files.read_text(f"commits/{finished}")
            self._check_with_spark("CommitLog", "commits", finished)
        if finished == begun:
            return CheckpointPosition(begun + 1, ends, True, self.find_query_name())
        starts = self.read_start_offsets(begun)
        return CheckpointPosition(begun, starts, False, self.find_query_name())

    def _read_topic_id(self) -> str | None:
        if not self._files.exists(_TOPIC_ID_FILE):
            return None
        noted = self._files.read_text(_TOPIC_ID_FILE).strip()
        if _TOPIC_ID.fullmatch(noted) is None:
            raise self._files.damaged(_TOPIC_ID_FILE, "holds no topic id" if noted else "is empty")
        return noted

    def _check_with_spark(self, log: str, folder: str, batch_id: int) -> None:
        """Let Spark too read a file of one of its logs."""
        package: Any = self._spark._jvm
        for part in (*_SPARK_LOGS.split("."), log):
            package = getattr(package, part)
        try:
            reader = package(self._spark._jsparkSession, self._files.path(folder).toString(), True)
            found = reader.get(batch_id).isDefined()
        except Py4JJavaError as error:
            what = f"cannot be read by Spark: {find_root_cause(error)}"
            raise self._files.damaged(f"{folder}/{batch_id}", what) from error
        if not found:
            raise self._files.damaged(f"{folder}/{batch_id}", "is missing")

    def _read(self, relative: str) -> Offsets:
        text = self._files.read_text(relative)
        try:
            return parse_offsets(text, self._topic)
        except ForeignOffsetsError as error:
            raise SinkError(
                f"{self._files.name(relative)}: {error}",
                hint="the checkpoint belongs to another source; give the query its own",
            ) from error
        except ValueError as error:
            raise self._files.damaged(relative, str(error)) from error
