"""Whether another query that runs now answers the same partitions.

Queries that share a topic by ``--partitions`` have groups of their own, and nothing else connects
them. So this only warns: two queries may well answer the same records, by two models or into two
pairs of topics; the stamps of their offsets do not say where they write to.
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

# Each is asked by a client of its own, and a start must not wait for thousands of them.
_MOST_GROUPS = 200
_AT_ONCE = 2


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


def warn_of_overlaps(
    admin: AdminClient, settings: TransactionSettings, mine: Collection[int]
) -> None:
    """Log a line for each other query that is alive on the same partitions, as far as can be seen.

    Says nothing where the brokers do not tell: the user may have no right to other groups.

    Args:
        admin: of the cluster.
        settings: of this query.
        mine: partitions that this query reads.
    """
    try:
        stamps = _read_stamps(admin, settings)
    except KafkaException as error:
        logger.info("other groups are not shown error=%s", error)
        return
    for overlap in find_overlaps(stamps, mine, time.time()):
        logger.warning("%s", overlap.describe(settings.source_topic))


def _read_stamps(admin: AdminClient, settings: TransactionSettings) -> dict[str, dict[int, Stamp]]:
    """Group → partition of the topic → stamp, of all groups whose offsets may be read."""
    listing = admin.list_consumer_groups(request_timeout=ANSWER_TIMEOUT_S).result()
    # Nobody joins the group of a query: it is a "simple" one, which has offsets and no members.
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
            continue  # not for this user's eyes, or gone meanwhile
        for partition, text in texts.items():
            stamp = Stamp.from_metadata(text)
            if stamp is not None:
                found.setdefault(other.query_name, {})[partition] = stamp
    return found
