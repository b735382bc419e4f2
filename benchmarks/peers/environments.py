"""Make a peer's own Python environment from its pinned requirements."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from rich.console import Console

from benchmarks.trial import FOLDER
from lib.errors import SetupError
from lib.setup import environments

REQUIREMENTS = Path(__file__).parent / "requirements"
_ROOT = FOLDER / "peers"


def find_python(name: str, root: Path = _ROOT) -> Path:
    """Return the interpreter of an environment, whether it exists or not."""
    return environments.find_python(root / name)


def find_version(name: str, package: str) -> str:
    """Read the pinned version of a package.

    Raises:
        SetupError: the package is not in the requirements.
    """
    path = find_requirements(name)
    for line in path.read_text().splitlines():
        found, _, version = line.partition("==")
        if found == package:
            return version
    raise SetupError(f"{path}: found no {package}, expected a line {package}==VERSION")


def find_requirements(name: str) -> Path:
    """Return the file of an environment's packages."""
    return REQUIREMENTS / f"{name}.txt"


def is_ready(name: str, root: Path = _ROOT) -> bool:
    """Tell whether the environment was made completely from the present requirements."""
    return environments.is_ready(find_requirements(name), root / name)


def provide_environments(names: Iterable[str | None], console: Console) -> None:
    """Make these environments, unless they are there; None stands for a program without one.

    Raises:
        SetupError: pip failed; the message has the end of its output.
    """
    for name in {name: None for name in names if name is not None}:
        provide_environment(name, console)


def provide_environment(name: str, console: Console, root: Path = _ROOT) -> None:
    """Make the environment, unless it is there already.

    Raises:
        SetupError: pip failed; the message has the end of its output.
    """
    if not is_ready(name, root):
        folder = root / name
        with console.status(f"installing {REQUIREMENTS.name}/{name}.txt into {folder}"):
            environments.provide_environment(find_requirements(name), folder)
