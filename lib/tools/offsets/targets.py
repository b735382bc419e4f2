"""Finds the positions that a group shall have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from confluent_kafka.admin import AdminClient

from lib.errors import SettingsError
from lib.exactly_once.transaction.settings import TransactionSettings
from lib.kafka.admin import find_offsets
from lib.kafka.partitions import Position
from lib.tools.offsets.group import look, refuse_if_pending, refuse_if_used


def find_targets(
    admin: AdminClient, settings: TransactionSettings, position: Position
) -> dict[int, int]:
    """Find partition → offset of a position, in the partitions that are meant.

    Raises:
        SettingsError: the topic has no such offset, or a partition is named that is not meant.
        KafkaException: the brokers do not tell.
    """
    chosen = settings.partitions
    found = find_offsets(admin, settings.source_topic, _limit(position, chosen))
    return found if chosen is None else {it: at for it, at in found.items() if it in chosen}


def _limit(position: Position, chosen: frozenset[int] | None) -> Position:
    """Limit a position to the partitions that are meant; in others it may not exist."""
    if isinstance(position, int) and chosen is not None:
        return dict.fromkeys(chosen, position)
    if isinstance(position, Mapping) and chosen is not None and position.keys() - chosen:
        raise SettingsError(
            f"--to names the partitions {sorted(position.keys() - chosen)}, which --partitions"
            " leaves out"
        )
    return position


def find_copied(
    admin: AdminClient, settings: TransactionSettings, from_group: str
) -> dict[int, int]:
    """Find partition → position that another group has in the topic.

    Partitions in which it has none are left out.

    Raises:
        OffsetsInUseError: a job or a consumer uses that group, so its positions move.
        KafkaSetupError: a transaction may still change them.
        SettingsError: its records are gone, or it belongs to another topic of that name.
    """
    other = look(admin, replace(settings, query_name=from_group))
    refuse_if_used(from_group, owner=other.owner, members=other.members)
    refuse_if_pending(from_group, other)
    found = {it: at for it, at in other.committed.items() if at is not None}
    return find_offsets(admin, settings.source_topic, found)
