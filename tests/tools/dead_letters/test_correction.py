"""A user's function corrects dead letters."""

from __future__ import annotations

from pathlib import Path

import pytest

from lib.errors import CorrectionError, SettingsError
from lib.messages.dead_letter import DeadLetter
from lib.tools.dead_letters.correction import apply_correction, load_correction
from tests.tools.dead_letters.test_selection import GENDER

PLACE = "[0]@7"


def write(folder: Path, text: str) -> Path:
    path = folder / "fix.py"
    path.write_text(text)
    return path


def test_a_function_of_a_file_makes_the_value(tmp_path: Path) -> None:
    path = write(tmp_path, "def correct(letter): return letter.value + b' '\n")

    assert apply_correction(load_correction(path), GENDER, PLACE) == b"{} "


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, "no such file"),
        ("def correct(letter", "SyntaxError"),
        ("import no_such_module", "ModuleNotFoundError: No module named 'no_such_module'"),
        ("correct = 1", "has no function correct"),
        ("", "define correct(letter)"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused(
    tmp_path: Path, text: str | None, expected: str
) -> None:
    path = tmp_path / "fix.py" if text is None else write(tmp_path, text)

    with pytest.raises(SettingsError, match=r"--correction .*fix\.py") as refused:
        load_correction(path)

    assert expected in str(refused.value)


def test_a_failure_names_the_place_and_keeps_the_record_to_itself(tmp_path: Path) -> None:
    path = write(tmp_path, "def correct(letter):\n    raise ValueError(letter.key)\n")

    with pytest.raises(CorrectionError) as failed:
        apply_correction(load_correction(path), GENDER, PLACE)

    message = str(failed.value)
    assert "the dead letter [0]@7: ValueError in fix.py, line 2" in message
    assert "7590" not in message
    assert failed.value.__suppress_context__


def test_text_is_no_value() -> None:
    def correct(letter: DeadLetter) -> bytes | None:
        return "text"  # type: ignore[return-value]  # the test needs the wrong type

    with pytest.raises(CorrectionError, match=r"returned str for the dead letter \[0\]@7"):
        apply_correction(correct, GENDER, PLACE)
