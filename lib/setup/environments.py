"""Makes a Python environment for a program whose packages conflict with the project's."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

from lib.errors import SetupError

_MARK = "requirements.sha256"
_TAIL_LINES = 5


def find_python(folder: Path) -> Path:
    """Return the interpreter of an environment, whether it exists or not."""
    return folder / "bin" / "python"


def is_ready(requirements: Path, folder: Path) -> bool:
    """Tell whether the environment was made completely from the present requirements."""
    mark = folder / _MARK
    return mark.is_file() and mark.read_text() == digest(requirements)


def provide_environment(requirements: Path, folder: Path) -> Path:
    """Make an environment, unless that has been done, and return its interpreter.

    Args:
        requirements: a file with every package pinned.
        folder: the folder of the environment, which is replaced.

    Raises:
        SetupError: pip failed; the error quotes the end of its output.
    """
    if not is_ready(requirements, folder):
        shutil.rmtree(folder, ignore_errors=True)
        _run([sys.executable, "-m", "venv", str(folder)], requirements)
        pip = [str(find_python(folder)), "-m", "pip", "install", "--quiet"]
        pip += ["--disable-pip-version-check", "-r", str(requirements)]
        _run(pip, requirements)
        (folder / _MARK).write_text(digest(requirements))
    return find_python(folder)


def digest(requirements: Path) -> str:
    """Compute a short digest of the input of an environment."""
    return hashlib.sha256(requirements.read_bytes() + sys.version.encode()).hexdigest()


def _run(command: list[str], requirements: Path) -> None:
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    if run.returncode != 0:
        tail = "\n".join((run.stdout + run.stderr).splitlines()[-_TAIL_LINES:])
        raise SetupError(
            f"the environment of {requirements} was not made: {tail}", hint="check the network"
        )
