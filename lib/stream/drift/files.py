"""Keeps counts and closed windows in the checkpoint of the query. Runs on the driver."""

from __future__ import annotations

from typing import Any

from pyspark.sql import SparkSession

from lib.drift.folder import KEPT_WINDOWS, STATES, WINDOWS, DriftFolder, write_line
from lib.drift.window import Window
from lib.exactly_once.checkpoint.files import CheckpointFiles


class DriftFiles(DriftFolder):
    """The folder ``drift`` of a checkpoint on any file system that Spark knows.

    Args:
        spark: the session, which gives the JVM and Hadoop's configuration.
        location: path or URL of the checkpoint.
    """

    def __init__(self, spark: SparkSession, location: str) -> None:
        self._checkpoint = CheckpointFiles(spark, location)
        super().__init__(self._checkpoint)

    def write_state(self, state: dict[str, Any]) -> None:
        """Write a state whole, and then delete the older ones."""
        older = self._checkpoint.list_numbers(STATES)
        number = max(older, default=0) + 1
        self._checkpoint.replace_text(f"{STATES}/{number}", write_line(state))
        for each in older:
            self._checkpoint.delete(f"{STATES}/{each}")

    def write_window(self, window: Window) -> None:
        """Write a closed window, and forget old ones."""
        text = write_line(window.to_json())
        self._checkpoint.replace_text(f"{WINDOWS}/{window.number}", text)
        for number in sorted(self._checkpoint.list_numbers(WINDOWS))[:-KEPT_WINDOWS]:
            self._checkpoint.delete(f"{WINDOWS}/{number}")
