"""Looks at records of a batch again, of which no more than the counts of its messages is known."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping

from confluent_kafka import KafkaException

from lib.decode.engines.python import decode_value
from lib.kafka.cluster import Cluster
from lib.kafka.reading import iter_range
from lib.record.contract import Contract
from lib.stream.brake.broken import Broken, name_place

logger = logging.getLogger(__name__)

# So many of the last records of each partition are looked at.
_SAMPLE = 1_000

#: A function that gets the first and the end offset of each partition of a batch, and says what its
#: records break; None if they cannot be read now.
Look = Callable[[Mapping[int, int], Mapping[int, int]], list[Broken] | None]


def build_look(cluster: Cluster, topic: str, contract: Contract) -> Look:
    """Build the function, which knows of no records on which only the model fails."""

    def iter_broken(starts: Mapping[int, int], ends: Mapping[int, int]) -> Iterator[Broken]:
        for partition, end in ends.items():
            first = max(starts.get(partition, 0), end - _SAMPLE)
            if first >= end:
                continue
            for message in iter_range(cluster, topic, partition, first, end):
                violations = decode_value(message.value(), contract).violations
                if violations:
                    place = name_place(topic, partition, message.offset() or 0)
                    yield Broken(str(violations[0].rule), violations[0].field, place)

    def look(starts: Mapping[int, int], ends: Mapping[int, int]) -> list[Broken] | None:
        try:
            return list(iter_broken(starts, ends))
        except KafkaException as error:
            logger.info("the records were not looked at error=%s", error.args[0].str())
            return None

    return look
