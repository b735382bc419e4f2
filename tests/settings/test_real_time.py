"""Real-time mode refuses some settings, and says why."""

from __future__ import annotations

import pytest

from lib.errors import PlanRefusedError, SettingsError
from lib.settings.jobs.score_stream import ScoreStreamSettings
from lib.settings.load import load_settings
from lib.settings.real_time import check_backend, check_batch, check_slots, parse_interval_ms
from lib.setup.places import CONF
from lib.spark.failed_query import build_query_error

REAL_TIME = ("--mode", "real-time", "--delivery", "at-least-once")


def load(*arguments: str) -> ScoreStreamSettings:
    return load_settings(ScoreStreamSettings, arguments, {})


def test_micro_batches_and_exactly_once_stay_the_default() -> None:
    settings = load()

    assert (settings.mode, settings.delivery) == ("micro-batch", "exactly-once")


def test_the_guarantee_has_to_be_said() -> None:
    assert load(*REAL_TIME).mode == "real-time"
    with pytest.raises(SettingsError, match=r"found --delivery exactly-once, expected at-least-"):
        load("--mode", "real-time")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--commit", "executor"), r"found --commit executor, .*; leave it out"),
        (("--trigger", "1 second"), r"found --trigger 1 second, .*--real-time-batch"),
        (("--trigger", "available-now"), r"available-now, .*; drain in --mode micro-batch"),
        (("--decoder", "python"), r"found --decoder python, .*no Python in it; leave it out"),
        (("--max-offsets-per-trigger", "9"), r"found --max-offsets-per-trigger 9, .*; leave it"),
        (
            ("--real-time-batch", "soon"),
            r"--real-time-batch: expected an interval .*found \'soon\'",
        ),
    ],
)
def test_a_setting_that_contradicts_the_mode_is_one_clear_error(
    arguments: tuple[str, ...], message: str
) -> None:
    with pytest.raises(SettingsError, match=message) as error:
        load(*REAL_TIME, *arguments)

    assert "\n" not in str(error.value)


def test_all_contradictions_are_named_at_once() -> None:
    with pytest.raises(SettingsError) as error:
        load("--mode", "real-time", "--config", str(CONF / "cluster.toml"))

    for name in ("--delivery", "--trigger", "--max-offsets-per-trigger"):
        assert f"found {name} " in error.value.message


def test_what_is_refused_in_real_time_mode_is_allowed_without_it() -> None:
    settings = load("--commit", "executor", "--trigger", "available-now")

    assert settings.mode == "micro-batch"


def test_a_file_with_every_default_is_no_contradiction() -> None:
    assert load(*REAL_TIME, "--config", str(CONF / "local.toml")).mode == "real-time"


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [
        ("1 millisecond", 1),
        ("750 milliseconds", 750),
        ("5 seconds", 5_000),
        ("1 minute", 60_000),
        ("2 hours", 7_200_000),
    ],
)
def test_intervals_are_read_in_every_unit(text: str, milliseconds: int) -> None:
    assert parse_interval_ms(text) == milliseconds


def test_a_batch_below_the_minimum_of_spark_is_refused() -> None:
    check_batch("5 seconds", 5_000)
    with pytest.raises(SettingsError, match=r"found 4999 milliseconds, expected at least 5,000"):
        check_batch("4999 milliseconds", 5_000)


def test_a_model_in_python_workers_is_refused_by_its_name() -> None:
    check_backend("churn@3/spark", is_native=True)
    with pytest.raises(
        SettingsError, match=r"found the model churn@3/sklearn, .*--backend sql or spark"
    ):
        check_backend("churn@3/sklearn", is_native=False)


@pytest.mark.parametrize(
    ("master", "hint"),
    [("local[2]", r"--master 'local\[4\]'"), ("yarn", "more executors or cores")],
)
def test_fewer_slots_than_partitions_are_refused(master: str, hint: str) -> None:
    check_slots(4, 4, master)
    with pytest.raises(SettingsError, match=rf"found 2 task slots .* for 4 source .*{hint}"):
        check_slots(2, 4, master)


def test_what_spark_refuses_in_this_mode_is_not_tried_again() -> None:
    told = "[STREAMING_REAL_TIME_MODE.OPERATOR_OR_SINK_NOT_IN_ALLOWLIST] Streaming real-time mode"

    error = build_query_error("the query failed", RuntimeError(told))

    assert isinstance(error, PlanRefusedError)
    assert not error.is_transient
