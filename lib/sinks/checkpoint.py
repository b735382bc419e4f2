"""A streaming query's checkpoint: where its batches begin and end, and what the sink notes there.

Through Hadoop's file system API, because a checkpoint may lie on any file system that Spark knows.
The format is Spark's own (``OffsetSeqLog``, ``CommitLog``, ``KafkaSourceInitialOffsetWriter``).
"""

from __future__ import annotations

import json
import re
from typing import Any

from pyspark.sql import SparkSession

from lib.errors import SinkError
from lib.sinks.resume import CheckpointPosition, Offsets

# Beside Spark's own files; Spark does not look at folders that it did not make.
_TOPIC_ID_FILE = "exactly-once/topic-id"
_REPEATS_FILE = "exactly-once/repeats"
_TOPIC_ID = re.compile("[0-9a-f]{32}")

#: Sets permissions by Java; ``./spark-submit.sh`` puts it on the class path and says so to Spark.
PLAIN_FILE_SYSTEM = "com.globalmentor.apache.hadoop.fs.BareLocalFileSystem"
_MANAGER_SETTING = "spark.sql.streaming.checkpointFileManagerClass"
_MANAGER = (
    "org.apache.spark.sql.execution.streaming.checkpointing.FileSystemBasedCheckpointFileManager"
)


def parse_offsets(text: str, topic: str) -> Offsets:
    """Find a topic's offsets in a file of the offset log or of a source's initial offsets.

    Args:
        text: a version line, maybe metadata, then a line of JSON for each source.
        topic: the source topic.

    Returns:
        partition → offset.

    Raises:
        ValueError: no line speaks of the topic.
    """
    for line in reversed(text.splitlines()):
        _, brace, rest = line.partition("{")
        try:
            topics = json.loads(brace + rest)
        except ValueError:
            continue
        if isinstance(topics, dict) and isinstance(topics.get(topic), dict):
            return {int(partition): int(offset) for partition, offset in topics[topic].items()}
    raise ValueError(f"no offsets of topic {topic}")


def prefer_plain_files(spark: SparkSession, location: str) -> None:
    """Let Spark write the checkpoint without a process for each file, where that is possible.

    Hadoop's local file system runs ``chmod`` for every file that it makes, which costs a batch two
    times 40 ms. One that sets permissions by Java is on the class path of ``./spark-submit.sh``; of
    Spark's two ways to write a checkpoint only the one by ``FileSystem`` uses it. Both rename
    finished files into place. Other file systems keep Spark's default.
    """
    jvm: Any = spark._jvm
    path = jvm.org.apache.hadoop.fs.Path(location)
    files = path.getFileSystem(spark.sparkContext._jsc.hadoopConfiguration())
    if files.getClass().getName() == PLAIN_FILE_SYSTEM:
        spark.conf.set(_MANAGER_SETTING, _MANAGER)


class CheckpointReader:
    """Reads one checkpoint, and keeps two notes in it. Runs on the driver.

    Args:
        spark: gives the JVM and Hadoop's configuration.
        location: path or URL of the checkpoint.
        topic: the source topic.
    """

    def __init__(self, spark: SparkSession, location: str, topic: str) -> None:
        # Py4J has no types; these are org.apache.hadoop.fs.Path and FileSystem.
        # Found once: each part of a name that is no class is looked for in every jar.
        jvm: Any = spark._jvm
        self._new_path: Any = jvm.org.apache.hadoop.fs.Path
        self._read_stream: Any = jvm.org.apache.commons.io.IOUtils.toString
        self._location = location
        self._topic = topic
        root = self._new_path(location)
        configuration = spark.sparkContext._jsc.hadoopConfiguration()
        self._files: Any = root.getFileSystem(configuration)

    def read_end_offsets(self, batch_id: int) -> Offsets:
        """Partition → end offset (exclusive) of a batch that was begun.

        Raises:
            SinkError: Spark's offset log has no such batch.
        """
        return self._read(f"offsets/{batch_id}")

    def read_start_offsets(self, batch_id: int) -> Offsets:
        """Partition → first offset of a batch that was begun; new partitions are absent.

        Raises:
            SinkError: Spark's logs do not say.
        """
        return self._read(f"offsets/{batch_id - 1}" if batch_id > 0 else "sources/0/0")

    def read_query_id(self) -> str:
        """Spark's id of the query; it lives as long as the checkpoint."""
        return str(json.loads(self._read_text("metadata"))["id"])

    def find_query_id(self) -> str | None:
        """The same; None where the checkpoint has none yet."""
        return self.read_query_id() if self._files.exists(self._path("metadata")) else None

    def find_topic_id(self) -> str | None:
        """What :meth:`note_topic_id` has noted; None where it has not."""
        if not self._files.exists(self._path(_TOPIC_ID_FILE)):
            return None
        noted = self._read_text(_TOPIC_ID_FILE).strip()
        # A driver that is killed while it writes leaves less.
        return noted if _TOPIC_ID.fullmatch(noted) else None

    def note_topic_id(self, topic_id: str) -> None:
        """Note which topic the checkpoint is made with: Spark keeps its name only.

        Kafka deletes a group's offsets, and the stamps with them, when it deletes the topic.
        """
        if self.find_topic_id() != topic_id:
            self._write_text(_TOPIC_ID_FILE, topic_id)

    def count_repeat(self, batch_id: int) -> int:
        """Note that a batch that was begun is about to be repeated; how often that was by now."""
        count = 1
        if self._files.exists(self._path(_REPEATS_FILE)):
            match self._read_text(_REPEATS_FILE).split():
                case [noted, times] if noted == str(batch_id) and times.isdecimal():
                    count += int(times)
        self._write_text(_REPEATS_FILE, f"{batch_id} {count}")
        return count

    def read_position(self) -> CheckpointPosition | None:
        """Where Spark would begin its next batch; None where the checkpoint does not say yet."""
        begun = self._latest("offsets")
        finished = self._latest("commits")
        if begun is None:
            if self._latest("sources/0") is None:
                return None
            return CheckpointPosition(0, self._read("sources/0/0"), is_complete=True)
        if finished == begun:
            return CheckpointPosition(begun + 1, self.read_end_offsets(begun), is_complete=True)
        return CheckpointPosition(begun, self.read_start_offsets(begun), is_complete=False)

    def _path(self, relative: str) -> Any:
        return self._new_path(self._location, relative)

    def _latest(self, folder: str) -> int | None:
        path = self._path(folder)
        if not self._files.exists(path):
            return None
        names = [status.getPath().getName() for status in self._files.listStatus(path)]
        return max((int(name) for name in names if name.isdecimal()), default=None)

    def _read_text(self, relative: str) -> str:
        path = self._path(relative)
        if not self._files.exists(path):
            raise SinkError(f"checkpoint {self._location} has no file {relative}")
        stream = self._files.open(path)
        try:
            text: str = self._read_stream(stream, "UTF-8")
        finally:
            stream.close()
        return text

    def _write_text(self, relative: str, text: str) -> None:
        stream = self._files.create(self._path(relative), True)
        try:
            stream.write(bytearray(text.encode()))
        finally:
            stream.close()

    def _read(self, relative: str) -> Offsets:
        text = self._read_text(relative)
        try:
            return parse_offsets(text, self._topic)
        except ValueError as error:
            raise SinkError(
                f"{relative} of checkpoint {self._location}: {error}",
                hint="the checkpoint belongs to another source; give the query its own",
            ) from error
