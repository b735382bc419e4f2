"""A peer's own Python environment, made from its pinned requirements."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

from rich.console import Console

from benchmarks.trial import FOLDER
from lib.errors import SetupError

REQUIREMENTS = Path(__file__).parent / "requirements"
_ROOT = FOLDER / "peers"
_MARK = "requirements.sha256"
_TAIL_LINES = 5


def find_python(name: str, root: Path = _ROOT) -> Path:
    """The interpreter of an environment, made or not."""
    return root / name / "bin" / "python"


def find_version(name: str, package: str) -> str:
    """The pinned version of a package.

    Raises:
        SetupError: it is not in the requirements.
    """
    path = REQUIREMENTS / f"{name}.txt"
    for line in path.read_text().splitlines():
        found, _, version = line.partition("==")
        if found == package:
            return version
    raise SetupError(f"{path}: found no {package}, expected a line {package}==VERSION")


def is_ready(name: str, root: Path = _ROOT) -> bool:
    """Whether the environment was made, whole, from the requirements of today."""
    mark = root / name / _MARK
    return mark.is_file() and mark.read_text() == _digest(name)


def provide_environment(name: str, console: Console, root: Path = _ROOT) -> None:
    """Make the environment, unless that has been done.

    Raises:
        SetupError: pip failed; quotes the end of its output.
    """
    if is_ready(name, root):
        return
    folder = root / name
    with console.status(f"installing {REQUIREMENTS.name}/{name}.txt into {folder}"):
        shutil.rmtree(folder, ignore_errors=True)
        _run([sys.executable, "-m", "venv", str(folder)], name)
        pip = [str(find_python(name, root)), "-m", "pip", "install", "--quiet"]
        pip += ["--disable-pip-version-check", "-r", str(REQUIREMENTS / f"{name}.txt")]
        _run(pip, name)
    (folder / _MARK).write_text(_digest(name))


def _digest(name: str) -> str:
    content = (REQUIREMENTS / f"{name}.txt").read_bytes() + sys.version.encode()
    return hashlib.sha256(content).hexdigest()


def _run(command: list[str], name: str) -> None:
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    if run.returncode != 0:
        tail = "\n".join((run.stdout + run.stderr).splitlines()[-_TAIL_LINES:])
        raise SetupError(
            f"the environment of {name} was not made: {tail}",
            hint="check the network, or leave the peer out with --only",
        )
