"""Checks checkpoint and positions as a start does, up to the point where it would fence others."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from confluent_kafka.admin import AdminClient
from pyspark.sql import SparkSession

from lib.exactly_once.checkpoint.reader import CheckpointReader
from lib.exactly_once.offsets.resume import CheckpointDamage, CheckpointFinding
from lib.exactly_once.start.overlap import list_overlaps
from lib.exactly_once.start.snapshot import Snapshot, refuse_early, take_snapshot
from lib.exactly_once.transaction.settings import ExactlyOnceSettings
from lib.file_errors import find_local_path, look_at_folder
from lib.findings import Finding, Severity
from lib.kafka.admin import read_topic_id
from lib.settings.base import Committer
from lib.settings.jobs.check import CheckSettings
from lib.stream.start import build_sink_settings, find_start
from lib.tools.check.examination import Examination
from lib.tools.offsets.group import find_living_owner

_SOUND = "a sound checkpoint, or none"


def check_checkpoint(
    examination: Examination, spark: SparkSession, settings: CheckSettings
) -> CheckpointReader | None:
    """Check that the checkpoint can be read and written, without making it.

    Returns:
        The reader of the checkpoint; None if it cannot be used.
    """
    check, place = "checkpoint", settings.checkpoint
    reader = CheckpointReader(spark, place, settings.input_topic)
    local = find_local_path(place)
    if local is not None:
        # That this user may write there is a row of its own, among the disks.
        if not examination.passes(check, lambda: look_at_folder(Path(local)), _SOUND):
            return None
    elif not examination.passes(check, reader.check_access, "a folder that this user may write"):
        return None
    # At least once, nothing else tells the position.
    is_alone = settings.delivery != "exactly-once"
    if is_alone and not examination.passes(check, reader.refuse_damage, _SOUND):
        return None
    found = examination.attempt(check, lambda: judge_position(place, reader.look()), _SOUND)
    if found is None:
        return None
    examination.add(found)
    return reader


def judge_position(place: str, found: CheckpointFinding) -> Finding:
    """Say what a checkpoint holds; without a sound one the group's offsets say where to go on."""
    check = "checkpoint"
    if found is None:
        return Finding.ok(check, f"{place}: none yet", _SOUND)
    if isinstance(found, CheckpointDamage):
        return Finding(
            *(Severity.WARNING, check, f"damaged: {found.description}", _SOUND),
            f"the checkpoint is damaged: {found.description}",
            "nothing: the start sets it aside, and goes on from the group's offsets or says what is"
            " lacking",
        )
    return Finding.ok(check, f"{place}: batch {found.next_batch_id} is next", _SOUND)


def check_positions(
    examination: Examination,
    spark: SparkSession,
    admin: AdminClient,
    settings: CheckSettings,
    reader: CheckpointReader,
    commit: Committer,
) -> None:
    """Check where the job would resume, and whether others are in its way.

    Args:
        examination: the findings.
        spark: the session.
        admin: a client of the cluster.
        settings: the settings of the job.
        reader: the reader of the checkpoint.
        commit: the side that commits.
    """
    check, expected = "positions", "a place to go on from"
    if commit == "spark":
        start = examination.attempt(check, partial(find_start, spark, settings), expected)
        if start is not None:
            examination.note(check, f"those of the checkpoint; without one {start}", expected)
        return
    chosen = build_sink_settings(settings, commit)

    def look() -> tuple[Snapshot, str]:
        topic_id = read_topic_id(admin, chosen.source_topic)
        snapshot = take_snapshot(chosen, reader, admin, topic_id)
        plan = refuse_early(chosen, snapshot)
        return snapshot, "a transaction is pending" if plan is None else plan.reason

    found = examination.attempt(check, look, expected)
    if found is None:
        return
    snapshot, reason = found
    examination.note(check, reason, expected)
    examination.add(_judge_owner(chosen, snapshot, settings.owner_timeout))
    overlaps = examination.attempt(
        "other queries", lambda: list_overlaps(admin, chosen, snapshot.committed.keys())
    )
    for overlap in overlaps or ():
        text = overlap.describe(chosen.source_topic)
        examination.add(
            Finding(
                *(Severity.WARNING, "other queries", f"query {overlap.query_name} is alive"),
                *("none on the same partitions", text),
                "name other --partitions, unless two answers are what you want",
            )
        )


def _judge_owner(
    settings: ExactlyOnceSettings, snapshot: Snapshot, owner_timeout_s: float
) -> Finding:
    """Say whether another job of this query name is alive."""
    check, expected = "jobs of this query name", "none that is alive"
    owner = find_living_owner(snapshot.stamps)
    if owner is None or not settings.lease_s:
        return Finding.ok(check, expected, expected)
    waits = "waits until it ends" if owner_timeout_s else "ends at once, with exit code 4"
    return Finding(
        *(Severity.WARNING, check, str(owner), expected),
        f"query {settings.query_name} is answered by {owner}: another job {waits}",
        "stop that job first, unless this one is meant to wait",
    )
