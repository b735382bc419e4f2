"""Notes in the checkpoint who makes the messages of each batch: for a job, a version of a model.

A batch that is repeated, in this run or by the next one, has to be made by whoever made it first.
So a change is noted before the first batch is made that it concerns. A note says from which batch
on it holds, and lies in a file of its own: ``exactly-once/makers/BATCH``.
"""

from __future__ import annotations

from pyspark.sql import SparkSession

from lib.exactly_once.checkpoint.files import CheckpointFiles

_FOLDER = "exactly-once/makers"
# Only the newest note counts, and the one before it until a batch has followed.
_KEPT = 20


class MakerLog:
    """The notes of one checkpoint. Runs on the driver.

    Args:
        spark: the session, which gives the JVM and Hadoop's configuration.
        location: path or URL of the checkpoint.
    """

    def __init__(self, spark: SparkSession, location: str) -> None:
        self._files = CheckpointFiles(spark, location)

    def find_next(self) -> tuple[int, bool]:
        """Find the next batch of the query, and whether it was begun before and not finished.

        Raises:
            Py4JJavaError: the file system cannot be read.
        """
        begun, finished = self._files.find_latest("offsets"), self._files.find_latest("commits")
        if begun is None:
            return 0, False
        return (begun + 1, False) if finished == begun else (begun, True)

    def find(self, batch_id: int) -> str | None:
        """Find who makes a batch, by the newest note up to it; None if there is none.

        Raises:
            CheckpointDamagedError: the note is empty, or differs from its checksum.
        """
        known = [number for number in self._files.list_numbers(_FOLDER) if number <= batch_id]
        return self._files.read_text(self.name_note(max(known))).strip() if known else None

    def note(self, batch_id: int, maker: str) -> None:
        """Note who makes the batches from this one on, and forget old notes.

        Args:
            batch_id: the first batch, which nobody has begun to make.
            maker: one line of text.
        """
        self._files.replace_text(self.name_note(batch_id), maker)
        for number in sorted(self._files.list_numbers(_FOLDER))[:-_KEPT]:
            self._files.delete(self.name_note(number))

    @staticmethod
    def name_note(batch_id: int) -> str:
        """Name the file of a note, below the folder of the checkpoint."""
        return f"{_FOLDER}/{batch_id}"
