"""A start tells what it starts with, and what it waits for when that takes long."""

from __future__ import annotations

import logging
import subprocess
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from lib.settings.jobs.score_stream import ScoreStreamSettings
from lib.setup.places import PROJECT_ROOT
from lib.stream.route import Route
from lib.stream.start_log import StartLog, describe_positions, find_commit
from tests.support.waiting import wait_until


@pytest.fixture(autouse=True)
def told(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    with caplog.at_level(logging.INFO, "lib.start"):
        yield


SETTINGS: dict[str, Any] = {
    "bootstrap_servers": "kafka-1:9093,kafka-2:9093",
    "kafka": {
        "security.protocol": "sasl_ssl",
        "sasl.mechanism": "PLAIN",
        "sasl.username": "ada",
        "sasl.password": "hunter2",
    },
    "input_topic": "in",
    "output_topic": "out",
    "dead_letter_topic": "dead",
}


def test_brokers_topics_and_model_have_a_line_each(caplog: pytest.LogCaptureFixture) -> None:
    log = StartLog()
    view: Any = SimpleNamespace(brokers=[1, 2, 3], partitions={"in": 12, "out": 4, "dead": 1})
    log.tell_kafka(ScoreStreamSettings(**SETTINGS), view)
    scorer: Any = SimpleNamespace(scored_by="churn@7/sql", threshold=0.33)
    log.tell_model(scorer, Route("workers", "jvm", "driver", ""))

    assert caplog.messages == [
        "brokers 1, 2, 3 at kafka-1:9093,kafka-2:9093, SASL_SSL",
        "topics in (partitions: 12) -> out (partitions: 4), dead letters dead (partitions: 1)",
        "model churn@7/sql, threshold 0.33, records read by Python workers, scored by the JVM",
    ]


@pytest.mark.parametrize(
    ("delivery", "commit", "mode", "guarantee"),
    [
        (
            "exactly-once",
            "executor",
            "micro-batch",
            "exactly-once: each task commits its partition in a transaction",
        ),
        ("at-least-once", "spark", "micro-batch", "at-least-once: Spark's own sink writes"),
        (
            "at-least-once",
            "spark",
            "real-time",
            "at-least-once, real-time: Spark's own sink writes",
        ),
    ],
)
def test_the_guarantee_and_the_positions_are_told(
    delivery: str, commit: Any, mode: str, guarantee: str, caplog: pytest.LogCaptureFixture
) -> None:
    runtime = SimpleNamespace(getStartTime=lambda: 1_000)
    factory = SimpleNamespace(getRuntimeMXBean=lambda: runtime)
    management = SimpleNamespace(management=SimpleNamespace(ManagementFactory=factory))
    spark: Any = SimpleNamespace(
        sparkContext=SimpleNamespace(uiWebUrl="http://localhost:4040"),
        _jvm=SimpleNamespace(java=SimpleNamespace(lang=management)),
    )
    plan = SimpleNamespace(reason="the checkpoint")
    sink = SimpleNamespace(positions={1: 95, 0: 120, 2: None}, plan=plan)
    stream: Any = SimpleNamespace(sink=None if commit == "spark" else sink)
    settings = ScoreStreamSettings(
        **SETTINGS, query_name="q", checkpoint="/cp", delivery=delivery, mode=mode
    )
    StartLog().tell_query(spark, settings, Route("jvm", "jvm", commit, ""), stream)

    positions = "positions are those of the checkpoint /cp"
    if stream.sink is not None:
        positions = "group q at 0:120,1:95,2:none (the checkpoint)"
    assert caplog.messages[:-1] == [
        f"guarantee {guarantee}",
        positions,
        "Spark's UI http://localhost:4040",
    ]
    assert caplog.messages[-1].endswith(" s: the query runs")
    assert caplog.messages[-1].startswith("ready after ")


def test_many_partitions_are_counted() -> None:
    assert describe_positions(dict.fromkeys(range(100), 7)) == (
        "0:7,1:7,2:7,3:7,4:7,5:7,6:7,7:7,8:7,9:7,10:7,11:7,12:7,13:7,14:7,15:7,… (100 partitions)"
    )


def test_a_long_start_tells_what_it_waits_for(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lib.stream.start_log._LOOK_S", 0.01)
    monkeypatch.setattr("lib.stream.start_log._FIRST_REMINDER_S", 0.1)
    with StartLog() as log:
        with log.waiting_for("the workers"), log.waiting_for("Kafka"):
            wait_until(lambda: len(caplog.messages) == 2)
        assert caplog.messages == ["the start waits for Kafka, since 0 s"] * 2
        with log.waiting_for("Spark's session"):
            wait_until(lambda: len(caplog.messages) == 3)

    assert caplog.messages[2] == "the start waits for Spark's session, since 0 s"


def test_the_commit_is_that_of_the_clone() -> None:
    commit = find_commit()

    if not (PROJECT_ROOT / ".git").exists():
        assert commit is None
        return
    head = subprocess.check_output(["git", "-C", str(PROJECT_ROOT), "rev-parse", "HEAD"], text=True)
    assert commit is not None
    assert head.startswith(commit)
