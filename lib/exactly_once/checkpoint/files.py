"""Reads, writes and renames the files of a checkpoint, on any file system that Spark knows."""

from __future__ import annotations

import re
import uuid
from datetime import datetime
from pathlib import Path
from typing import Any

from py4j.protocol import Py4JJavaError  # type: ignore[import-untyped]  # it ships no types
from pyspark.sql import SparkSession

from lib.errors import (
    CheckpointDamagedError,
    DiskFullError,
    FileError,
    QueryFailedError,
    ScoringError,
    SettingsError,
    SinkError,
)
from lib.file_errors import check_folder, find_local_path
from lib.spark.root_cause import find_root_cause

#: It sets permissions in Java; ``./spark-submit.sh`` puts it on the class path and tells Spark.
PLAIN_FILE_SYSTEM = "com.globalmentor.apache.hadoop.fs.BareLocalFileSystem"
_MANAGER_SETTING = "spark.sql.streaming.checkpointFileManagerClass"
_MANAGER = (
    "org.apache.spark.sql.execution.streaming.checkpointing.FileSystemBasedCheckpointFileManager"
)
# Parts of the errors of file systems for which waiting does not help.
_DENIED = re.compile(
    "AccessControl|AccessDenied|Permission denied|Read-only file system|Operation not permitted"
    "|NotDirectory|Not a directory|not a directory"
)

_NOT_WRITTEN = "the checkpoint cannot be written"


def prefer_plain_files(spark: SparkSession, location: str) -> None:
    """Let Spark write the checkpoint without a process for each file, where that is possible.

    Hadoop's local file system runs ``chmod`` for every file that it makes, which costs a batch two
    times 40 ms. ``./spark-submit.sh`` puts a file system on the class path that sets permissions in
    Java; of Spark's two ways to write a checkpoint only the one with ``FileSystem`` uses it. Both
    rename finished files into place. Other file systems keep Spark's default.
    """
    jvm: Any = spark._jvm
    path = jvm.org.apache.hadoop.fs.Path(location)
    files = path.getFileSystem(spark.sparkContext._jsc.hadoopConfiguration())
    if files.getClass().getName() == PLAIN_FILE_SYSTEM:
        spark.conf.set(_MANAGER_SETTING, _MANAGER)


class CheckpointFiles:
    """The folder of one checkpoint, through Hadoop's file system API. Runs on the driver.

    Args:
        spark: the session, which gives the JVM and Hadoop's configuration.
        location: path or URL of the checkpoint.
    """

    def __init__(self, spark: SparkSession, location: str) -> None:
        # Py4J has no types; these are org.apache.hadoop.fs.Path and FileSystem. They are looked up
        # once, because each package name is searched for in every jar.
        jvm: Any = spark._jvm
        self._new_path: Any = jvm.org.apache.hadoop.fs.Path
        self._jvm: Any = jvm
        self._read_stream: Any = jvm.org.apache.commons.io.IOUtils.toString
        self._location = location
        self._root = self._new_path(location)
        configuration = spark.sparkContext._jsc.hadoopConfiguration()
        self._files: Any = self._root.getFileSystem(configuration)

    def path(self, relative: str) -> Any:
        """Return a file's ``org.apache.hadoop.fs.Path``."""
        return self._new_path(self._location, relative)

    def name(self, relative: str) -> str:
        """Return a file's whole name, for messages."""
        return f"{self._location.rstrip('/')}/{relative}"

    def damaged(self, relative: str, what: str) -> CheckpointDamagedError:
        """Build the error about a damaged file, whose name is followed by ``what``."""
        return CheckpointDamagedError(f"{self.name(relative)} {what}")

    def exists(self, relative: str) -> bool:
        """Tell whether there is a file or folder."""
        return bool(self._files.exists(self.path(relative)))

    def find_latest(self, folder: str) -> int | None:
        """Return the highest number that names a file of a folder; None where there is none."""
        return max(self.list_numbers(folder), default=None)

    def list_numbers(self, folder: str) -> list[int]:
        """List the numbers that name files of a folder; empty where there is none."""
        if not self.exists(folder):
            return []
        names = [status.getPath().getName() for status in self._files.listStatus(self.path(folder))]
        return [int(name) for name in names if name.isdecimal()]

    def read_text(self, relative: str) -> str:
        """Read the whole file.

        Raises:
            CheckpointDamagedError: the file is empty or missing, or differs from its checksum.
            QueryFailedError: the file system cannot be read now.
        """
        if not self.exists(relative):
            raise self.damaged(relative, "is missing")
        try:
            stream = self._files.open(self.path(relative))
            try:
                text: str = self._read_stream(stream, "UTF-8")
            finally:
                stream.close()
        except Py4JJavaError as error:
            cause = find_root_cause(error)
            if "ChecksumException" in cause:
                raise self.damaged(relative, "does not have its checksum") from error
            raise QueryFailedError(f"{self.name(relative)} cannot be read: {cause}") from error
        if not text.strip("\0"):
            raise self.damaged(relative, "is empty")
        return text

    def write_text(self, relative: str, text: str) -> None:
        """Write a file, or overwrite it."""
        stream = self._files.create(self.path(relative), True)
        try:
            stream.write(bytearray(text.encode()))
        finally:
            stream.close()

    def replace_text(self, relative: str, text: str) -> None:
        """Write a file whole, or replace it: whoever reads it finds all of the text, or none.

        A process that dies in between may leave no file, but never a part of one.
        """
        folder, _, name = relative.rpartition("/")
        written = f"{folder}/.{name}-{uuid.uuid4().hex}"
        self.write_text(written, text)
        self.delete(relative)
        self._files.rename(self.path(written), self.path(relative))

    def delete(self, relative: str) -> None:
        """Delete a file, if it exists."""
        self._files.delete(self.path(relative), False)

    def check_writable(self, made: str, *others: str) -> None:
        """Make sure that files can be written in folders.

        Args:
            made: a folder that is created if it does not exist.
            others: folders that are tried if they exist.

        Raises:
            SettingsError: this user must not write; names the folder.
            QueryFailedError: the file system cannot write now, for a reason that may pass; a full
                device is named.
        """
        for folder in (made, *others):
            if folder != made and not self.exists(folder):
                continue
            # The name is no number, because Spark takes those for batches.
            probe = self.path(f"{folder}/.probe-{uuid.uuid4().hex}")
            try:
                self._files.create(probe, True).close()
                self._files.delete(probe, False)
            except Py4JJavaError as error:
                raise self._explain_refusal(self.name(folder), find_root_cause(error)) from error

    def check_access(self) -> None:
        """Make sure that this user may write in the folder, or make it, without writing anything.

        Hadoop compares the rights, also those of root; for a local folder, ask the operating
        system with ``lib.file_errors.look_at_folder``.

        Raises:
            SettingsError: this user must not write; names the folder.
            QueryFailedError: the file system cannot be read now.
        """
        actions: Any = self._jvm.org.apache.hadoop.fs.permission.FsAction
        try:
            self._files.access(self._find_existing(), actions.WRITE_EXECUTE)
        except Py4JJavaError as error:
            raise self._explain_refusal(self._location, find_root_cause(error)) from error

    def _find_existing(self) -> Any:
        """Return the path of the checkpoint, or of the nearest folder above it that exists."""
        path = self._root
        while path.getParent() is not None and not self._files.exists(path):
            path = path.getParent()
        return path

    def _explain_refusal(self, folder: str, cause: str) -> ScoringError:
        """Build the error about a folder that Hadoop cannot write, for which Java gives a cause."""
        local = find_local_path(folder)
        if local is not None:
            # Java does not say why it makes no folder, and knows no devices.
            try:
                check_folder(Path(local))
            except DiskFullError as error:
                return QueryFailedError(f"{_NOT_WRITTEN}: {error.message}", hint=error.hint)
            except FileError as error:
                return SettingsError(f"{_NOT_WRITTEN}: {error.message}", hint=error.hint)
        message = f"{_NOT_WRITTEN}: {folder}: {cause}"
        if _DENIED.search(cause):
            hint = "let this user write there, or name another --checkpoint"
            return SettingsError(message, hint=hint)
        return QueryFailedError(message)

    def set_aside(self, now: datetime) -> str:
        """Rename the checkpoint, so that the query begins a new one in its place.

        Args:
            now: the time in UTC, which becomes a part of the new name.

        Returns:
            The new path or URL.

        Raises:
            SinkError: the checkpoint cannot be renamed.
        """
        name, parent = self._root.getName(), self._root.getParent()
        target = f"{name}.set-aside-{now:%Y%m%dT%H%M%S%fZ}"
        reason = "it is the root of its file system"
        if parent is not None:
            try:
                if self._files.rename(self._root, self._new_path(parent, target)):
                    return self._location.rstrip("/").removesuffix(name) + target
                reason = "the file system refuses it"
            except Py4JJavaError as error:
                reason = find_root_cause(error)
        raise SinkError(
            f"checkpoint {self._location} cannot be renamed to {target}: {reason}",
            hint="remove it, or name another --checkpoint: the group's offsets say where to go on",
        )
