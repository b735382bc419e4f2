"""The form of the log is found before the settings are read, as they will say it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lib.errors import SettingsError
from lib.settings.jobs.consume import ConsumeSettings
from lib.settings.load import load_settings
from lib.setup.log.form import LOG_FORMAT, adopt_log_format, find_log_format, is_json

# The words of the command line, the variables, the file, and the form.
PLACES: list[tuple[list[str], dict[str, str], str, str]] = [
    ([], {}, "", "text"),
    (["--log-format", "json"], {}, "", "json"),
    (["--log-format=json"], {}, "", "json"),
    (["--log-format", "json", "--log-format", "text"], {}, "", "text"),
    ([], {"SCORE_LOG_FORMAT": "json"}, "", "json"),
    ([], {"SCORE_LOG_FORMAT": ""}, 'log_format = "json"', "json"),
    ([], {}, 'log_format = "json"', "json"),
    ([], {"SCORE_LOG_FORMAT": "text"}, 'log_format = "json"', "text"),
    (["--log-format", "text"], {"SCORE_LOG_FORMAT": "json"}, 'log_format = "json"', "text"),
]
WRONG: list[tuple[list[str], dict[str, str], str]] = [
    (["--log-format", "xml"], {}, ""),
    (["--log-format=JSON"], {}, ""),
    ([], {"SCORE_LOG_FORMAT": "xml"}, ""),
    ([], {}, "log_format = 7"),
    ([], {}, "log_format = "),
    (["--config", "no such file"], {}, ""),
]


@pytest.mark.parametrize(("words", "variables", "file", "form"), PLACES)
def test_the_form_is_that_of_the_settings(
    words: list[str], variables: dict[str, str], file: str, form: str, tmp_path: Path
) -> None:
    (tmp_path / "own.toml").write_text(file)
    by_flag = [*words, "--config", str(tmp_path / "own.toml")]
    by_variable = {**variables, "SCORE_CONFIG": str(tmp_path / "own.toml")}

    assert find_log_format(by_flag, variables) == form
    assert find_log_format(words, by_variable) == form
    assert load_settings(ConsumeSettings, by_flag, variables).log_format == form
    assert load_settings(ConsumeSettings, words, by_variable).log_format == form


@pytest.mark.parametrize(("words", "variables", "file"), WRONG)
def test_what_the_settings_refuse_is_refused_as_text(
    words: list[str], variables: dict[str, str], file: str, tmp_path: Path
) -> None:
    (tmp_path / "own.toml").write_text(file)
    given = {**variables, "SCORE_CONFIG": str(tmp_path / "own.toml")}

    assert find_log_format(words, given) == "text"
    with pytest.raises(SettingsError):
        load_settings(ConsumeSettings, words, given)


def test_a_file_is_named_from_the_folder_of_the_command_line(tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text('log_format = "json"')
    words = ["--conf", "a=b", "jobs/job.py", "--config=own.toml"]

    assert find_log_format(words, {}, tmp_path) == "json"
    assert find_log_format(words, {}) == "text"


def test_the_flag_wins_for_the_processes_that_are_started_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(LOG_FORMAT, "json")
    adopt_log_format(["--log-format", "text"])
    assert not is_json()
    adopt_log_format(["--log-format", "json"])
    assert is_json()

    monkeypatch.setenv(LOG_FORMAT, "wrong")
    adopt_log_format([])
    assert load_settings(ConsumeSettings, [], {}).log_format == "text"
    with pytest.raises(SettingsError, match="--log-format"):
        load_settings(ConsumeSettings, [])


@pytest.mark.timeout(20)
def test_a_pipe_is_left_to_the_job_which_can_read_it_only_once(tmp_path: Path) -> None:
    pipe = tmp_path / "config.toml"
    os.mkfifo(pipe)  # nobody writes into it, so whoever opens it waits for ever

    assert find_log_format(["--config", str(pipe)], {}) == "text"
