"""Remembers in the checkpoint what the brake had seen when it stopped the job.

The next start judges the same batch again, and comes to the same verdict: without the records
before it, a batch that is small would not be judged.
"""

from __future__ import annotations

import json
import logging
from typing import Any

import numpy as np
from py4j.protocol import Py4JJavaError  # type: ignore[import-untyped]  # it ships no types
from pyspark.sql import SparkSession

from lib.errors import ScoringError
from lib.exactly_once.checkpoint.files import CheckpointFiles
from lib.stream.brake.window import Outcomes

logger = logging.getLogger(__name__)

# A folder beside Spark's own, which Spark does not read.
_FILE = "exactly-once/brake"


class BrakeMemory:
    """The note in one checkpoint. Runs on the driver.

    It holds for the batch that was begun last, as long as that is not finished.

    Args:
        spark: the session, which gives the JVM and Hadoop's configuration.
        location: path or URL of the checkpoint.
    """

    def __init__(self, spark: SparkSession, location: str) -> None:
        self._files = CheckpointFiles(spark, location)

    def save(self, recent: Outcomes) -> None:
        """Note the outcomes of the records before the batch that is not written."""
        try:
            batch = self._files.find_latest("offsets")
            self._files.write_text(_FILE, write_note(batch, recent))
        except (Py4JJavaError, ScoringError) as error:
            logger.info("the brake's note was not written error=%s", type(error).__name__)

    def load(self) -> Outcomes:
        """Return the outcomes before the unfinished batch; none if no brake has stopped at it."""
        try:
            if self._files.exists(_FILE):
                begun, finished = map(self._files.find_latest, ("offsets", "commits"))
                if begun is not None and begun != finished:
                    return read_note(self._files.read_text(_FILE), begun)
        except (Py4JJavaError, ScoringError) as error:
            logger.info("the brake's note was not read error=%s", type(error).__name__)
        return read_note("", None)


def write_note(batch: int | None, recent: Outcomes) -> str:
    """Write the outcomes as text."""
    return json.dumps(
        {"batch": batch, "records": len(recent), "dead": np.packbits(recent).tobytes().hex()}
    )


def read_note(text: str, batch: int | None) -> Outcomes:
    """Read the outcomes that were noted for a batch; none if there is no such note."""
    try:
        note: dict[str, Any] = json.loads(text)
        if batch is not None and note["batch"] == batch:
            bits = np.frombuffer(bytes.fromhex(note["dead"]), np.uint8)
            return np.unpackbits(bits, count=int(note["records"])).astype(np.bool_)
    except (ValueError, KeyError, TypeError):
        pass  # a process may die while it writes the note
    return np.zeros(0, np.bool_)
