"""Whether another query that runs now answers the same partitions.

Queries that share a topic by ``--partitions`` have groups of their own, and nothing else connects
them. So this only warns: two queries may well answer the same records, by two models or into two
pairs of topics; the stamps of their offsets do not say where they write to.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from confluent_kafka import ConsumerGroupTopicPartitions, KafkaException
from confluent_kafka.admin import AdminClient

from lib.kafka.admin import ANSWER_TIMEOUT_S
from lib.sinks.stamp import Stamp

logger = logging.getLogger(__name__)

# Each is a request of its own, and a start must not wait for thousands of them.
_MOST_GROUPS = 200


@dataclass(frozen=True)
class Overlap:
    """Another query that answers some of the same partitions.

    Attributes:
        query_name: of the other query.
        run_id: of its job.
        partitions: that both answer.
    """

    query_name: str
    run_id: str
    partitions: tuple[int, ...]

    def describe(self, topic: str) -> str:
        """One line for people.

        Args:
            topic: that both read.
        """
        return (
            f"query {self.query_name} (run {self.run_id}) answers the partitions"
            f" {list(self.partitions)} of {topic} too: their records get an answer from each of the"
            " two (name other --partitions, unless that is what you want)"
        )


def find_overlaps(
    stamps: Mapping[str, Mapping[int, Stamp]], mine: Collection[int], now_s: float
) -> list[Overlap]:
    """Which other queries are alive on the same partitions.

    Args:
        stamps: group → partition of the topic → who has committed its offset.
        mine: partitions that this query reads.
        now_s: Unix time.
    """
    found = []
    for group, by_partition in sorted(stamps.items()):
        # A run that is idle renews the lease with one offset, on behalf of all that it signed.
        leases = [(it.lease, it.run_id) for it in by_partition.values() if it.lease is not None]
        if not leases:
            continue
        newest, run_id = max(leases)
        if newest.committed_s + newest.lasts_s <= now_s:
            continue
        shared = [it for it in sorted(mine) if it in by_partition]
        partitions = tuple(it for it in shared if by_partition[it].run_id == run_id)
        if partitions:
            found.append(Overlap(group, run_id, partitions))
    return found


def warn_of_overlaps(admin: AdminClient, topic: str, own_group: str, mine: Collection[int]) -> None:
    """Log a line for each other query that is alive on the same partitions, as far as can be seen.

    Says nothing where the brokers do not tell: the user may have no right to other groups.

    Args:
        admin: of the cluster.
        topic: the source topic.
        own_group: the group of this query.
        mine: partitions that this query reads.
    """
    try:
        stamps = _read_stamps(admin, topic, own_group)
    except KafkaException as error:
        logger.info("other groups are not shown error=%s", error)
        return
    for overlap in find_overlaps(stamps, mine, time.time()):
        logger.warning("%s", overlap.describe(topic))


def _read_stamps(admin: AdminClient, topic: str, own_group: str) -> dict[str, dict[int, Stamp]]:
    """Group → partition of the topic → stamp, of all groups whose offsets may be read."""
    listing = admin.list_consumer_groups(request_timeout=ANSWER_TIMEOUT_S).result()
    others = sorted({group.group_id for group in listing.valid} - {own_group})
    if len(others) > _MOST_GROUPS:
        logger.info("only %d of %d groups are looked at", _MOST_GROUPS, len(others))
    answers = {
        group: admin.list_consumer_group_offsets(
            [ConsumerGroupTopicPartitions(group)], request_timeout=ANSWER_TIMEOUT_S
        )[group]
        for group in others[:_MOST_GROUPS]
    }
    found: dict[str, dict[int, Stamp]] = {}
    for group, answer in answers.items():
        try:
            positions = answer.result().topic_partitions or ()
        except KafkaException:
            continue  # not for this user's eyes, or gone meanwhile
        for position in positions:
            stamp = Stamp.from_metadata(position.metadata)
            if position.topic == topic and stamp is not None:
                found.setdefault(group, {})[position.partition] = stamp
    return found
