"""Asks what there is to read, and plans what a run reads of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession

from lib.errors import EvaluationError
from lib.evaluation.definition import Definition
from lib.evaluation.inputs import list_files
from lib.evaluation.progress import (
    FileRange,
    Position,
    TopicRange,
    TopicView,
    plan_files,
    plan_topic,
    read_position,
)
from lib.kafka.admin import (
    build_admin,
    has_topic,
    read_offsets,
    read_topic_id,
    refuse_missing_topics,
)
from lib.kafka.cluster import Cluster
from lib.record.contract import Contract


@dataclass(frozen=True)
class Side:
    """The source of one side: a topic, or files.

    Attributes:
        flag: the flag of the files, for messages.
        topic: the topic; used if there are no files.
        files: files, folders or globs; empty for a topic.
    """

    flag: str
    topic: str
    files: Sequence[str] = ()


@dataclass(frozen=True)
class Task:
    """The sources, the rules and the place of an evaluation.

    Attributes:
        output: the output folder.
        predictions, outcomes: the sources of both sides.
        cluster: the cluster of the topics.
        contract: the contract of the records, which names fields and labels.
        time_name: the name of the outcome's time.
        store: the folder of the model store, whose versions tell of their training.
        definition: the rules by which outcomes count.
        accept_gone: whether to go on where something is gone before it was read.
    """

    output: Path
    predictions: Side
    outcomes: Side
    cluster: Cluster
    contract: Contract
    time_name: str
    store: Path
    definition: Definition
    accept_gone: bool = False


def list_names(task: Task) -> dict[str, str]:
    """List what rows were read by, and so has to stay as it is."""
    contract = task.contract
    return {
        "contract": contract.name,
        "identifier": contract.identifier.name,
        "label": contract.label.name,
        "positive": contract.positive_label,
        "negative": contract.negative_label,
        "time": task.time_name,
    }


def check_names(task: Task, state: Mapping[str, Any] | None) -> None:
    """Refuse other names than those by which the output folder was read so far.

    Raises:
        EvaluationError: a name differs.
    """
    if state is None:
        return
    for key, name in list_names(task).items():
        if state["names"][key] != name:
            raise EvaluationError(
                f"--output {task.output}: found {name!r} as the {key}, expected"
                f" {state['names'][key]!r}, by which it was read so far",
                hint="name the same contract and --outcome-time, or another --output",
            )


def plan_reading(
    spark: SparkSession, task: Task, state: Mapping[str, Any] | None
) -> tuple[dict[str, TopicRange | FileRange], dict[str, Position]]:
    """Plan what is read of each side, ``predictions`` and ``outcomes``, up to what is stable now.

    Returns:
        Side → what is read, and side → how far it has been read after that.

    Raises:
        EvaluationError: something is gone that was to be read, or the source is another one.
        KafkaException: the brokers do not tell.
        KafkaSetupError: there is no such topic, or no broker answers.
        SourceError: there are no such files.
    """
    ranges: dict[str, TopicRange | FileRange] = {}
    positions: dict[str, Position] = {}
    sides = {"predictions": task.predictions, "outcomes": task.outcomes}
    topics = [it.topic for it in sides.values() if not it.files]
    admin = build_admin(task.cluster) if topics else None
    for name, side in sides.items():
        read = None if state is None else read_position(state[name])
        if side.files:
            found = list_files(spark, side.flag, side.files)
            ranges[name], positions[name] = plan_files(
                *(side.flag, found, read),
                accept_gone=task.accept_gone,
                # An outcome that is told again has no effect.
                may_go=name == "outcomes",
            )
        else:
            assert admin is not None
            if not has_topic(admin, side.topic):
                refuse_missing_topics(
                    task.cluster, [side.topic], may_be_hidden=task.cluster.signs_in
                )
            view = TopicView(
                side.topic,
                read_topic_id(admin, side.topic),
                read_offsets(admin, side.topic, "earliest"),
                read_offsets(admin, side.topic, "latest"),
            )
            ranges[name], positions[name] = plan_topic(view, read, accept_gone=task.accept_gone)
    return ranges, positions
