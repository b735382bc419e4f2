"""Finds other running queries that answer the same partitions, and warns of them.

Queries that share a topic by ``--partitions`` have groups of their own, and nothing else connects
them. This only warns, because two queries may answer the same records on purpose, with two models
or into two pairs of topics. The stamps of their offsets do not say where they write to.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from lib.exactly_once.offsets.stamp import Stamp
from lib.exactly_once.transaction.group_offsets import look_at_group
from lib.exactly_once.transaction.settings import TransactionSettings
from lib.kafka.admin import ANSWER_TIMEOUT_S

logger = logging.getLogger(__name__)

# A client is made for each group, and a start must not wait for thousands of them.
_MOST_GROUPS = 200
_AT_ONCE = 2


@dataclass(frozen=True)
class Overlap:
    """Another query that answers some of the same partitions.

    Attributes:
        query_name: the name of the other query.
        run_id: the id of its run.
        partitions: the partitions that both answer.
    """

    query_name: str
    run_id: str
    partitions: tuple[int, ...]

    def describe(self, topic: str) -> str:
        """Describe it in one line for people.

        Args:
            topic: the topic that both read.
        """
        return (
            f"query {self.query_name} (run {self.run_id}) answers the partitions"
            f" {list(self.partitions)} of {topic} too: their records get an answer from each of the"
            " two (name other --partitions, unless that is what you want)"
        )


def find_overlaps(
    stamps: Mapping[str, Mapping[int, Stamp]], mine: Collection[int], now_s: float
) -> list[Overlap]:
    """Find the other queries that are alive on the same partitions. Pure.

    Args:
        stamps: group → partition of the topic → stamp of its offset.
        mine: the partitions that this query reads.
        now_s: the Unix time.
    """
    found = []
    for group, by_partition in sorted(stamps.items()):
        # An idle run renews its lease with one offset, which counts for all that it signed.
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


def list_overlaps(
    admin: AdminClient, settings: TransactionSettings, mine: Collection[int]
) -> list[Overlap]:
    """List the other queries that are seen to be alive on the same partitions.

    There are none where the user has no right to see other groups.

    Args:
        admin: a client of the cluster.
        settings: the settings of this query.
        mine: the partitions that this query reads.
    """
    try:
        stamps = _read_stamps(admin, settings)
    except KafkaException as error:
        logger.info("other groups are not shown error=%s", error)
        return []
    return find_overlaps(stamps, mine, time.time())


def warn_of_overlaps(
    admin: AdminClient, settings: TransactionSettings, mine: Collection[int]
) -> None:
    """Log a warning for each of :func:`list_overlaps`."""
    for overlap in list_overlaps(admin, settings, mine):
        logger.warning("%s", overlap.describe(settings.source_topic))


def _read_stamps(admin: AdminClient, settings: TransactionSettings) -> dict[str, dict[int, Stamp]]:
    """Read group → partition of the topic → stamp, for all groups that may be read."""
    listing = admin.list_consumer_groups(request_timeout=ANSWER_TIMEOUT_S).result()
    # The group of a query has no members: it is a "simple" one, which has offsets only.
    simple = {group.group_id for group in listing.valid if group.is_simple_consumer_group}
    others = sorted(simple - {settings.query_name})
    if len(others) > _MOST_GROUPS:
        logger.info("only %d of %d groups are looked at", _MOST_GROUPS, len(others))
    # The other query may read other partitions too, and renew its lease there.
    asked = [replace(settings, query_name=it, partitions=None) for it in others[:_MOST_GROUPS]]
    with ThreadPoolExecutor(_AT_ONCE, "overlap") as pool:
        looks = [pool.submit(look_at_group, admin, it, waits=False) for it in asked]
    found: dict[str, dict[int, Stamp]] = {}
    for other, look in zip(asked, looks, strict=True):
        try:
            texts = look.result().stamps
        except KafkaException:
            continue  # the user has no right to it, or it is gone meanwhile
        for partition, text in texts.items():
            stamp = Stamp.from_metadata(text)
            if stamp is not None:
                found.setdefault(other.query_name, {})[partition] = stamp
    return found
