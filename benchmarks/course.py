"""Describe where a contestant reads and writes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from lib.kafka.cluster import Cluster


@dataclass(frozen=True)
class Course:
    """The names and places that a contestant gets; all are new except the input.

    Attributes:
        cluster: the brokers.
        input_topic: the topic that is drained.
        output_topic, dead_letter_topic: empty topics for the messages.
        group: the consumer group, the query name and the prefix of transactional ids.
        model: the folder of a stored version.
        rival: the folder of another version of the model.
        shadow_topic: an empty topic for what a shadow answers.
        checkpoint: a folder that does not exist yet.
        batch_records: the size of the job's micro-batches.
        spark_settings: values of spark-submit's ``--conf``, beside those in
            conf/spark-defaults.conf.
    """

    cluster: Cluster
    input_topic: str
    output_topic: str
    dead_letter_topic: str
    group: str
    model: Path
    rival: Path
    shadow_topic: str
    checkpoint: Path
    batch_records: int
    spark_settings: Sequence[str] = ()


#: A function that returns program and arguments for a course.
Build = Callable[[Course], list[str]]
