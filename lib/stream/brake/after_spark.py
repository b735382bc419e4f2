"""The brake where Spark's own sink writes: it judges each batch right after that was written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lib.errors import BrakeError
from lib.stream.brake.brake import Brake
from lib.stream.watch.rejections import list_ranges
from lib.telemetry.progress import BatchProgress


class SparkBrake:
    """Judges the batches that Spark's own sink has written, by their counts.

    Args:
        brake: the brake.
    """

    def __init__(self, brake: Brake) -> None:
        self._brake = brake
        # The error that ends the job, although neither Spark nor a sink raises it.
        self.failure: BrakeError | None = None

    def note(self, event: Mapping[str, Any], batch: BatchProgress) -> None:
        """Note a batch.

        Args:
            event: Spark's event about the batch as a JSON object.
            batch: the counts of the batch.
        """
        rule = self._brake.rule
        ranges = list(list_ranges(event, rule.input_topic))
        starts = {partition: start for partition, start, _ in ranges}
        ends = {partition: end for partition, _, end in ranges}
        counts = {rule.output_topic: batch.predictions, rule.dead_letter_topic: batch.dead_letters}
        try:
            self._brake.note(starts, ends, counts)
        except BrakeError as error:
            self.failure = self.failure or error
