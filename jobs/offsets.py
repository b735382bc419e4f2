"""Show, set, copy or delete the positions of a query's consumer group.

Run it with ``.venv/bin/python jobs/offsets.py --help``.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from confluent_kafka.admin import AdminClient

from lib.errors import KafkaSetupError
from lib.exactly_once.transaction.settings import TransactionSettings
from lib.kafka.admin import has_topic, refuse_missing_topics
from lib.kafka.connection.connect import connect
from lib.kafka.partitions import parse_partitions, parse_position
from lib.settings.command import run_job
from lib.settings.jobs.offsets import OffsetsSettings
from lib.tools.offsets.change import delete_positions, set_positions
from lib.tools.offsets.group import GroupView, look, refuse_if_used
from lib.tools.offsets.moves import list_moves, plan_deletion, plan_moves
from lib.tools.offsets.targets import find_copied, find_targets


def manage_offsets(settings: OffsetsSettings) -> int:
    """Do what the settings say, and report it.

    Raises:
        ScoringError: the positions cannot be read, or must not be changed.
    """
    cluster, topic, group_id = settings.cluster, settings.input_topic, settings.query_name
    admin = connect(cluster)
    missing = [] if has_topic(admin, topic) else [topic]
    refuse_missing_topics(cluster, missing, may_be_hidden=cluster.signs_in)
    group = TransactionSettings(
        bootstrap_servers=settings.bootstrap_servers,
        query_name=group_id,
        source_topic=topic,
        kafka=settings.kafka,
        partitions=parse_partitions(settings.partitions),
    )
    view = look(admin, group)
    print(f"group {group_id}, topic {topic}")
    if settings.action == "show":
        print(*view.list_lines(), sep="\n")
        return 0
    refuse_if_used(group_id, owner=view.owner, members=view.members)
    if settings.action == "delete":
        moves = plan_deletion(view.committed)
        if not settings.dry_run:
            moves = delete_positions(admin, group, view)
    else:
        targets = choose_targets(admin, settings, group, view)
        moves = plan_moves(view.committed, targets)
        if not settings.dry_run:
            moves = set_positions(admin, group, view, targets)
    print(*list_moves(moves), sep="\n")
    print("nothing was changed, as --dry-run says" if settings.dry_run else "done")
    return 0


def choose_targets(
    admin: AdminClient, settings: OffsetsSettings, group: TransactionSettings, view: GroupView
) -> Mapping[int, int]:
    """Find partition → position that the group gets.

    Raises:
        KafkaSetupError: the other group has no position in the topic.
        OffsetsInUseError: somebody uses the other group.
        SettingsError: the topic has no such offset.
    """
    if settings.action == "set":
        return find_targets(admin, group, parse_position(settings.to))
    targets = find_copied(admin, group, settings.from_group)
    if not targets:
        raise KafkaSetupError(
            f"group {settings.from_group} has no position in topic {settings.input_topic}",
            hint="name the group as its consumers do, and the topic with --input-topic",
        )
    return targets


if __name__ == "__main__":
    sys.exit(run_job(OffsetsSettings, manage_offsets))
