"""Says what most records look like, if a large share of them becomes dead letters."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from confluent_kafka import KafkaException

from lib.decode.engines.python import decode_value
from lib.kafka.cluster import Cluster
from lib.kafka.reading import iter_range
from lib.messages.framing import Framing, find_framing
from lib.record.contract import Contract
from lib.telemetry.progress import BatchProgress, read_offsets

logger = logging.getLogger(__name__)

# A share is judged after so many records, and is large from a half on.
_LEAST_RECORDS = 20
_SAMPLE = 20

#: A function that reads values of a batch's records, whose offsets Spark's event names.
ReadValues = Callable[[Mapping[str, Any]], Iterable[bytes | None]]


class RejectionWatch:
    """Counts dead letters, and logs one line for each framing that many of them have.

    Each framing is told once. The look at the records is taken on a thread of its own.

    Args:
        contract: the contract of the records.
        read: a function that reads some records of a batch; see :func:`build_reader`.
    """

    def __init__(self, contract: Contract, read: ReadValues) -> None:
        self._contract = contract
        self._read = read
        self._records = self._dead_letters = 0
        self._told: set[str] = set()
        self._look: threading.Thread | None = None

    def note(self, event: Mapping[str, Any], batch: BatchProgress) -> None:
        """Note a batch, and look at its records if too many are dead letters.

        Args:
            event: Spark's event about the batch as a JSON object.
            batch: the counts of the batch.
        """
        self._records += batch.records
        self._dead_letters += batch.dead_letters
        if self._records < _LEAST_RECORDS:
            return
        is_large = 2 * self._dead_letters >= self._records
        self._records = self._dead_letters = 0
        is_looking = self._look is not None and self._look.is_alive()
        if is_large and batch.dead_letters and not is_looking:
            self._look = threading.Thread(
                target=self._tell, args=(event,), name="look at rejected records", daemon=True
            )
            self._look.start()

    def wait(self) -> None:
        """Wait until the look under way has ended."""
        if self._look is not None:
            self._look.join()

    def _tell(self, event: Mapping[str, Any]) -> None:
        try:
            values = list(self._read(event))
        except (KafkaException, ValueError, KeyError) as error:
            logger.info("the rejected records were not looked at error=%s", type(error).__name__)
            return
        found = find_common_framing(values, self._contract)
        if found is not None and found.name not in self._told:
            self._told.add(found.name)
            logger.warning("most records become dead letters; their value %s", found.hint)


def find_common_framing(values: Iterable[bytes | None], contract: Contract) -> Framing | None:
    """Find the framing that most of the invalid values have; None if there is none."""
    found = Counter(
        find_framing(value, contract)
        for value in values
        if not decode_value(value, contract).is_valid
    )
    return max(found, key=found.__getitem__, default=None)


def build_reader(cluster: Cluster, topic: str) -> ReadValues:
    """Build the function that reads the last records of each partition of a batch."""

    def read(event: Mapping[str, Any]) -> Iterator[bytes | None]:
        for partition, start, end in list_ranges(event, topic):
            first = max(start, end - _SAMPLE)
            for message in iter_range(cluster, topic, partition, first, end):
                yield message.value()

    return read


def list_ranges(event: Mapping[str, Any], topic: str) -> Iterator[tuple[int, int, int]]:
    """List partition, first and end offset of the parts of a batch that are not empty."""
    (source,) = event["sources"]
    starts, ends = (
        (read_offsets(source[key]) or {}).get(topic, {}) for key in ("startOffset", "endOffset")
    )
    for partition, end in ends.items():
        start = starts.get(partition, 0)
        if start < end:
            yield int(partition), start, end
