from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.latency import MODES, LatencySettings, Load, list_servers
from benchmarks.open_loop import ArrivalReader, count_due
from lib.kafka.cluster import Cluster
from lib.settings.jobs.score_stream import ScoreStreamSettings
from lib.settings.load import load_settings
from tests.benchmarks.course import COURSE


def test_job_loop_and_framework_take_turns_by_default() -> None:
    settings = LatencySettings()

    assert settings.only == ["exactly-once", "hand-loop", "quix-streams"]
    assert settings.rate == ["1000", "10000", "50%"]
    assert settings.rounds == 3


@pytest.mark.parametrize("name", MODES)
def test_the_job_is_started_with_settings_that_it_takes(name: str) -> None:
    server = list_servers(LatencySettings(backend="sql"))[name]
    command = server.build_command(COURSE)
    script = next(position for position, part in enumerate(command) if part.endswith(".py"))

    settings = load_settings(ScoreStreamSettings, command[script + 1 :], environment={})

    assert name in (settings.mode, settings.delivery)
    assert settings.backend == "sql"
    assert "available-now" in server.drain.build_command(COURSE)


def test_the_loop_commits_one_transaction_a_poll_of_five_milliseconds() -> None:
    loop = list_servers(LatencySettings(partitions=1))["hand-loop"]

    command = loop.build_command(COURSE)

    tail = ["--processes", "1", "--kind", "onnx", "--patience-s", "0.005"]
    assert command[-7:] == [*tail, "--endless"]
    assert loop.drain.build_command(COURSE)[-6:] == tail


def test_the_loop_has_a_process_for_each_core_and_none_without_a_partition() -> None:
    loop = list_servers(LatencySettings(partitions=4))["hand-loop"]

    assert loop.build_command(COURSE)[-7:-5] == ["--processes", "2"]


def test_the_framework_has_the_same_settings_for_rate_and_latency(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").touch()
    course = replace(COURSE, model=tmp_path / "model.onnx")
    quix = list_servers(LatencySettings())["quix-streams"]

    assert quix.build_command(course) == quix.drain.build_command(course)


def test_a_load_has_the_records_of_warm_up_and_measurement() -> None:
    assert Load(rate=1_000.0, warm_up=60.0, seconds=30.0).records == 90_000


def test_a_record_is_due_at_its_moment_and_not_before() -> None:
    assert count_due(0.0, rate=1_000.0) == 1
    assert count_due(0.0009, rate=1_000.0) == 1
    assert count_due(0.0105, rate=1_000.0) == 11


def test_the_first_answer_to_a_record_counts_and_another_one_is_a_repetition() -> None:
    reader = ArrivalReader(Cluster("127.0.0.1:9"), ["out"], records=3)

    for number, at_s in ((2, 7.0), (0, 7.5), (2, 8.0)):
        reader._note(number, at_s)

    assert list(reader.arrived_s) == [7.5, 0.0, 7.0]
    assert (reader.answered, reader.repeated) == (2, 1)


def test_the_answer_to_the_trial_record_is_forgotten() -> None:
    reader = ArrivalReader(Cluster("127.0.0.1:9"), ["out"], records=2)
    reader._note(0, 7.0)

    reader.forget()

    assert list(reader.arrived_s) == [0.0, 0.0]
    assert reader.answered == 0
