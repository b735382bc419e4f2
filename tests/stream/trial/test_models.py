"""Models that cannot be told apart, or do not score in Python workers, are refused."""

from __future__ import annotations

import pytest

from lib.errors import SettingsError
from lib.settings.jobs.score_stream import ScoreStreamSettings
from lib.settings.load import load_settings
from lib.stream.mode_check import refuse_native
from lib.stream.trial.models import choose_rivals

CHALLENGER, SHADOW = "--challenger", "--shadow"


def test_different_models_may_score_the_same_records() -> None:
    rivals = [(CHALLENGER, "m@2/onnx"), (SHADOW, "m@3/onnx")]

    assert choose_rivals("m@1/onnx", rivals) == {"m@2/onnx", "m@3/onnx"}


def test_the_same_version_may_score_in_another_engine() -> None:
    assert choose_rivals("m@1/onnx", [(CHALLENGER, "m@1/sklearn")]) == {"m@1/sklearn"}


@pytest.mark.parametrize("flag", [CHALLENGER, SHADOW])
def test_a_model_that_was_promoted_is_no_rival_any_more(
    flag: str, caplog: pytest.LogCaptureFixture
) -> None:
    rivals = [(flag, "m@2/onnx"), (SHADOW, "m@3/onnx")]

    assert choose_rivals("m@2/onnx", rivals) == {"m@3/onnx"}
    assert caplog.messages == [f"{flag} names m@2/onnx, which is the champion: it is left out"]


def test_two_flags_name_two_models() -> None:
    with pytest.raises(SettingsError) as refusal:
        choose_rivals("m@1/onnx", [(CHALLENGER, "m@3/onnx"), (SHADOW, "m@3/onnx")])

    assert refusal.value.message == (
        "--shadow: found m@3/onnx, which --challenger names too, expected another model: nobody"
        " could tell their answers apart"
    )


def test_a_model_in_the_jvm_is_refused_with_the_way_out() -> None:
    with pytest.raises(SettingsError) as refusal:
        refuse_native("--shadow", "m@1/sql", is_native=True)

    assert refusal.value.message == (
        "--shadow: found the model m@1/sql, which scores inside Spark's JVM, expected one that"
        " scores in Python workers: only there shadows score the champion's records"
    )
    assert "--backend auto, or onnx or sklearn," in (refusal.value.hint or "")


def test_a_model_in_workers_is_not_refused() -> None:
    refuse_native("--shadow", "m@1/onnx", is_native=False)


@pytest.mark.parametrize("share", ["0", "1", "-0.1", "1.5", "nan"])
def test_a_share_lies_between_none_and_all(share: str) -> None:
    with pytest.raises(SettingsError, match="challenger-share"):
        load_settings(ScoreStreamSettings, ["--challenger-share", share], {})


def test_a_shadow_needs_a_topic() -> None:
    with pytest.raises(SettingsError, match="--shadow: found no --shadow-topic"):
        load_settings(ScoreStreamSettings, ["--shadow", "m@2"], {})


@pytest.mark.parametrize("rival", [["--challenger", "m@2"], ["--shadow", "m@2"]])
def test_real_time_mode_takes_one_model(rival: list[str]) -> None:
    words = ["--mode", "real-time", "--delivery", "at-least-once", "--shadow-topic", "shadows"]

    with pytest.raises(SettingsError, match=f"found {rival[0]}, but one model scores in it"):
        load_settings(ScoreStreamSettings, [*words, *rival], {})


def test_shadows_are_named_one_by_one_or_together() -> None:
    words = ["--shadow-topic", "shadows", "--shadow", "m@2,m@3", "--shadow", "m@4"]

    settings = load_settings(ScoreStreamSettings, words, {})

    assert settings.shadow == ["m@2", "m@3", "m@4"]
    assert settings.has_rivals
    assert settings.output_topics["shadow answers"] == "shadows"


def test_a_topic_of_shadows_without_a_shadow_is_not_written_to() -> None:
    settings = load_settings(ScoreStreamSettings, ["--shadow-topic", "shadows"], {})

    assert not settings.has_rivals
    assert list(settings.output_topics) == ["predictions", "dead letters"]
