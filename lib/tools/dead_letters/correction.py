"""Loads and calls a user's function that corrects the values of dead letters."""

from __future__ import annotations

import runpy
import traceback
from collections.abc import Callable
from pathlib import Path

from lib.errors import CorrectionError, SettingsError, name_error
from lib.messages.dead_letter import DeadLetter

#: It returns the value to send, or None if the letter is not sent.
Correction = Callable[[DeadLetter], bytes | None]

_FUNCTION = "correct"


def load_correction(path: Path) -> Correction:
    """Run a Python file and take its function ``correct``.

    Raises:
        SettingsError: there is no such file, it fails, or it has no such function.
    """
    place = f"--correction {path}"
    if not path.is_file():
        raise SettingsError(f"{place}: no such file")
    try:
        names = runpy.run_path(str(path))
    except Exception as error:
        raise SettingsError(f"{place}: {name_error(error)}") from error
    function = names.get(_FUNCTION)
    if not callable(function):
        raise SettingsError(
            f"{place}: has no function {_FUNCTION}",
            hint=f"define {_FUNCTION}(letter), which returns the value to send as bytes, or None",
        )
    return function  # type: ignore[no-any-return]  # each call checks the result


def apply_correction(correct: Correction, letter: DeadLetter, place: str) -> bytes | None:
    """Call a user's function.

    Args:
        correct: the function.
        letter: the dead letter.
        place: the position of the letter, for messages.

    Raises:
        CorrectionError: the function raised, or returned something else than bytes or None. The
            message of its exception is left out, because it may quote the record.
    """
    try:
        value: object = correct(letter)
    except Exception as error:  # noqa: BLE001  whatever the user's code may raise
        last = traceback.extract_tb(error.__traceback__)[-1]
        raise CorrectionError(
            f"the correction failed on the dead letter {place}: {type(error).__name__} in"
            f" {Path(last.filename).name}, line {last.lineno}"
        ) from None
    if value is None or isinstance(value, bytes):
        return value
    raise CorrectionError(
        f"the correction returned {type(value).__name__} for the dead letter {place}, expected"
        " bytes or None"
    )
