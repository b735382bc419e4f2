"""The exit codes in the documents and ``--help`` are those of the code."""

from __future__ import annotations

import pytest

from lib.errors import (
    BrakeError,
    QueryFailedError,
    ResumeRefusedError,
    ScoringError,
    SettingsError,
    SinkFencedByTaskError,
    SinkFencedError,
    SinkTakenOverError,
)
from lib.exit_codes import find_exit_code
from lib.settings.load import load_settings
from lib.settings.registry import JOB_SETTINGS
from tests.docs.documents import read_document, render_exit_codes


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (SettingsError("--trigger"), 2),
        (SinkFencedError("fenced"), 4),
        (SinkTakenOverError("replaced"), 4),
        (SinkFencedByTaskError("a task"), 4),
        (BrakeError("a flood"), 5),
        (QueryFailedError("a lost executor"), 1),
        (ResumeRefusedError("expired offsets"), 1),
        (ScoringError("anything else"), 1),
    ],
)
def test_each_kind_of_error_has_its_exit_code(error: ScoringError, code: int) -> None:
    assert find_exit_code(error) == code


def test_the_documented_table_is_that_of_the_code() -> None:
    assert render_exit_codes() in read_document("docs/restarts.md")


@pytest.mark.parametrize("job", JOB_SETTINGS)
def test_help_names_the_exit_codes(job: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        load_settings(JOB_SETTINGS[job], ["--help"], {})

    help_text = capsys.readouterr().out
    codes = ("0 done", "1 failed", "2 wrong settings", "4 another job", "5 the brake")
    for code in (*codes, "130 and 143"):
        assert code in help_text
