"""Provide the places where a contestant reads and writes, for tests that start none."""

from __future__ import annotations

from pathlib import Path

from benchmarks.course import Course
from lib.kafka.cluster import Cluster

COURSE = Course(
    cluster=Cluster("127.0.0.1:9092"),
    input_topic="in",
    output_topic="out",
    dead_letter_topic="dead",
    group="group",
    model=Path("models/churn/1"),
    rival=Path("models/churn/2"),
    shadow_topic="shadows",
    checkpoint=Path("checkpoint"),
    batch_records=100_000,
    spark_settings=("spark.driver.memory=4g",),
)
