"""Looks at a group's positions, and refuses to change those that somebody uses."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from confluent_kafka.admin import AdminClient

from lib.errors import KafkaSetupError, OffsetsInUseError
from lib.exactly_once.offsets.lease import Life, Owner, find_owner, judge_owner
from lib.exactly_once.offsets.process_identity import has_ended
from lib.exactly_once.offsets.stamp import CLAIM, PERSON, Stamp
from lib.exactly_once.transaction.group_offsets import choose_partitions, look_at_group
from lib.exactly_once.transaction.settings import TransactionSettings
from lib.kafka.admin import (
    count_members,
    list_partitions,
    read_ends,
    read_offsets,
    read_topic_id,
)
from lib.tools.offsets.moves import spell


@dataclass(frozen=True)
class GroupView:
    """The state of a topic and of a group's positions in it, as brokers tell it.

    Attributes:
        committed: partition → the group's position, None where it has none.
        stamps: partition → metadata of that position.
        earliest: partition → oldest offset that still exists.
        latest: partition → last stable offset.
        held_back: partition → number of offsets behind it, which wait for the end of a transaction.
        topic_id: Kafka's id of the topic.
        members: the number of consumers that have joined the group.
        owner: the run that answers the query now; None if there is none.
        is_stable: whether no transaction was pending that changes the positions.
    """

    committed: Mapping[int, int | None]
    stamps: Mapping[int, str | None]
    earliest: Mapping[int, int]
    latest: Mapping[int, int]
    held_back: Mapping[int, int]
    topic_id: str
    members: int
    owner: Owner | None
    is_stable: bool

    def places(self, topic: str) -> set[tuple[str, int]]:
        """Return (topic, partition) of all partitions that were looked at."""
        return {(topic, partition) for partition in self.committed}

    def list_lines(self) -> Iterator[str]:
        """Write the positions as a table, and who uses the group."""
        yield "partition |       oldest |     position |          end |          lag | committed by"
        for partition, position in sorted(self.committed.items()):
            oldest, end = self.earliest[partition], self.latest[partition]
            lag = "unknown" if position is None else str(max(end - position, 0))
            numbers = (str(oldest), spell(position), str(end), lag)
            author = describe_author(self.stamps[partition], self.topic_id)
            yield f"{partition:>9} | {' | '.join(f'{it:>12}' for it in numbers)} | {author}"
        for partition, count in sorted(self.held_back.items()):
            if count and partition in self.committed:
                yield (
                    f"partition {partition}: {count} offsets behind the end above wait for the end"
                    " of an open transaction, and are no part of the lag"
                )
        if self.owner is not None:
            yield f"the query is answered by {self.owner}, which is alive"
        if self.members:
            yield f"{self.members} consumers have subscribed with the group"
        if not self.is_stable:
            yield "a transaction that changes these positions is open"


def look(admin: AdminClient, settings: TransactionSettings) -> GroupView:
    """Read what there is, without changing anything.

    Args:
        admin: a client of the cluster.
        settings: ``query_name`` is the group, ``source_topic`` the topic.

    Raises:
        KafkaSetupError: the topic lacks partitions that the settings name.
        KafkaException: the brokers do not tell.
    """
    topic = settings.source_topic
    partitions = choose_partitions(settings, list_partitions(admin, topic))
    earliest = read_offsets(admin, topic, "earliest")
    group = look_at_group(admin, settings)
    if not group.is_stable:  # a broker that has just loaded the group answers late
        group = look_at_group(admin, settings)
    ends = read_ends(admin, topic)
    return GroupView(
        committed={it: group.offsets.get(it) for it in partitions},
        stamps={it: group.stamps.get(it) for it in partitions},
        earliest=earliest,
        latest={partition: stable for partition, (stable, _) in ends.items()},
        held_back={partition: max(0, end - stable) for partition, (stable, end) in ends.items()},
        topic_id=read_topic_id(admin, topic),
        members=count_members(admin, settings.query_name),
        owner=find_living_owner(group.stamps),
        is_stable=group.is_stable,
    )


def find_living_owner(stamps: Mapping[int, str | None], own_run_id: str = "") -> Owner | None:
    """Find the run whose stamps say that it is alive, if there is one."""
    owner = find_owner(stamps.values(), own_run_id)
    if owner is None:
        return None
    ended = has_ended(owner.pid, owner.identity)
    life = judge_owner(owner, now_s=time.time(), unchanged_s=0.0, has_ended=ended)
    return owner if life is Life.ALIVE else None


def refuse_if_used(group_id: str, *, owner: Owner | None, members: int) -> None:
    """Refuse to change or copy positions that somebody moves meanwhile.

    Raises:
        OffsetsInUseError: a job or a consumer uses the group.
    """
    if owner is not None:
        left_s = max(0.0, owner.lease.committed_s + owner.lease.lasts_s - time.time())
        raise OffsetsInUseError(
            f"query {group_id} is answered by {owner}, which is alive",
            hint=f"stop that job first; if it was killed elsewhere, wait {left_s:.0f} s for the end"
            " of its lease",
        )
    if members:
        raise OffsetsInUseError(
            f"{members} consumers have subscribed with group {group_id}: they commit offsets of"
            " their own",
            hint="stop them first",
        )


def refuse_if_pending(group_id: str, view: GroupView) -> None:
    """Refuse positions that a transaction may still change.

    Raises:
        KafkaSetupError: a transaction of the group is pending.
    """
    if not view.is_stable:
        raise KafkaSetupError(
            f"a transaction that changes the positions of group {group_id} is still open",
            hint="wait until its timeout is over, by default a minute, or start and stop its job",
        )


def describe_author(metadata: str | None, topic_id: str) -> str:
    """Say in a phrase who has committed a position.

    Args:
        metadata: the metadata of the position; None where there is none.
        topic_id: Kafka's id of the topic now.
    """
    if metadata is None:
        return "–"
    stamp = Stamp.from_metadata(metadata)
    if stamp is None:
        return "not by a job: by hand, or by a consumer"
    what = "jobs/offsets.py" if stamp.query_id == PERSON else f"run {stamp.run_id}"
    batch = "" if stamp.batch_id == CLAIM else f", batch {stamp.batch_id}"
    when = ""
    if stamp.lease is not None:
        when = f", {datetime.fromtimestamp(stamp.lease.committed_s, UTC):%Y-%m-%dT%H:%M:%SZ}"
    other = "" if stamp.topic_id == topic_id else ", for another topic of that name"
    return f"{what}{batch}{when}{other}"
