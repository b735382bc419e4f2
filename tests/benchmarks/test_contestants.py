from __future__ import annotations

import pytest

from benchmarks.contestants import CONTESTANTS
from benchmarks.hand_loop import BATCH_RECORDS
from lib.settings.jobs.score_stream import ScoreStreamSettings
from lib.settings.load import load_settings
from tests.benchmarks.course import COURSE


def test_both_guarantees_and_all_backends_meet_the_loops() -> None:
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
        "hand-loop/sklearn",
        "hand-loop/onnx",
    ]


@pytest.mark.parametrize("name", [name for name in CONTESTANTS if "loop" not in name])
def test_the_job_is_started_with_settings_that_it_takes(name: str) -> None:
    command = CONTESTANTS[name].build_command(COURSE)
    script = next(position for position, part in enumerate(command) if part.endswith(".py"))

    assert command[0].endswith("/spark-submit.sh")
    assert command[1:3] == ["--conf", "spark.driver.memory=4g"]
    assert command[script].endswith("jobs/score_stream.py")
    settings = load_settings(ScoreStreamSettings, command[script + 1 :], environment={})
    place = "" if settings.commit == "driver" else f"/{settings.commit}"
    place += "" if settings.decoder == "auto" else f"/decoded-in-{settings.decoder}"
    assert f"{settings.delivery}/{settings.backend}{place}" == name
    assert settings.trigger == "available-now"
    assert settings.max_offsets_per_trigger == 100_000
    assert settings.query_name == "group"


def test_the_loop_takes_the_batches_that_it_was_compared_with_before() -> None:
    assert BATCH_RECORDS == 10_000
