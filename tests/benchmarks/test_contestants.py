from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.contestants import CONTESTANTS
from benchmarks.hand_loop import BATCH_RECORDS
from lib.settings.jobs.score_stream import ScoreStreamSettings
from lib.settings.load import load_settings
from tests.benchmarks.course import COURSE


def test_both_guarantees_and_all_backends_meet_the_loops_and_a_framework() -> None:
    assert list(CONTESTANTS) == [
        "exactly-once/onnx",
        "exactly-once/sql",
        "exactly-once/spark",
        "exactly-once/sql/decoded-in-python",
        "exactly-once/spark/decoded-in-spark",
        "at-least-once/spark",
        "exactly-once/sklearn",
        "at-least-once/sklearn",
        "exactly-once/onnx/executor",
        "exactly-once/sql/executor",
        "exactly-once/spark/executor",
        "exactly-once/sklearn/executor",
        "exactly-once/onnx/drift",
        "exactly-once/onnx/executor/drift",
        "exactly-once/sql/drift",
        "exactly-once/sklearn/drift",
        "exactly-once/onnx/shadow",
        "hand-loop/sklearn",
        "hand-loop/onnx",
        "quix-streams",
    ]


@pytest.mark.parametrize("name", [name for name in CONTESTANTS if "once" in name])
def test_the_job_is_started_with_settings_that_it_takes(name: str) -> None:
    command = CONTESTANTS[name].build_command(COURSE)
    script = next(position for position, part in enumerate(command) if part.endswith(".py"))

    assert command[0].endswith("/spark-submit.sh")
    assert command[1:3] == ["--conf", "spark.driver.memory=4g"]
    assert command[script].endswith("jobs/score_stream.py")
    settings = load_settings(ScoreStreamSettings, command[script + 1 :], environment={})
    place = "" if settings.commit == "driver" else f"/{settings.commit}"
    place += "" if settings.decoder == "auto" else f"/decoded-in-{settings.decoder}"
    place += "/drift" if settings.drift else ""
    if settings.shadow:
        place += "/shadow"
        assert (settings.shadow, settings.shadow_topic) == (["models/churn/2"], "shadows")
    assert f"{settings.delivery}/{settings.backend}{place}" == name
    assert settings.trigger == "available-now"
    assert settings.max_offsets_per_trigger == 100_000
    assert settings.query_name == "group"


def test_the_loop_takes_the_batches_that_it_was_compared_with_before() -> None:
    assert BATCH_RECORDS == 10_000


def test_the_framework_commits_exactly_once_each_tenth_of_a_second(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").touch()
    course = replace(COURSE, model=tmp_path / "model.onnx")

    command = CONTESTANTS["quix-streams"].build_command(course)

    assert command[-3:] == ["exactly-once", "0.1", "dead"]
    assert command[4].endswith("build/benchmarks/peers/quix-streams/bin/python")
    assert command[5].endswith("benchmarks/peers/programs/quix_streams.py")
    assert command[6:10] == ["127.0.0.1:9092", "in", "out", "group"]


def test_the_framework_drains_a_shorter_topic() -> None:
    assert CONTESTANTS["quix-streams"].most_records == 100_000
    assert CONTESTANTS["hand-loop/onnx"].most_records > 10**9
