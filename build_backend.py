"""The build backend: setuptools, which in a wheel gives the package a name of its own.

In the clone the package is the folder ``lib``. Many projects have a folder of that name, and of two
packages with one name Python finds only the first. So a wheel is built from a copy of the clone in
which the package is ``spark_kafka_scoring``: every reference to ``lib``, in code, strings and
comments, gets the new name, and one that names no module of the package fails the build. The copy
also has the files of ``conf`` that the package reads, inside the package. An editable install is
setuptools' own, of ``lib`` as it stands.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Collection, Iterator
from contextlib import chdir, contextmanager
from pathlib import Path
from typing import Any

from setuptools import build_meta
from setuptools.build_meta import (
    build_editable,
    build_sdist,
    get_requires_for_build_editable,
    get_requires_for_build_sdist,
    prepare_metadata_for_build_editable,
)

__all__ = [
    "build_editable",
    "build_sdist",
    "build_wheel",
    "get_requires_for_build_editable",
    "get_requires_for_build_sdist",
    "prepare_metadata_for_build_editable",
    "prepare_metadata_for_build_wheel",
]

#: The name of the package in a wheel.
PACKAGE = "spark_kafka_scoring"

# Settings of the jobs and of Prometheus, which stay in the clone as the jobs do.
_NOT_READ = ("local.toml", "cluster.toml", "monitoring")
# lib.setup.jars, lib/setup/jars.py, ``lib`` in a docstring, and from lib import errors; not `lib`
# within another name or path.
_REFERENCE = re.compile(r"(?<![\w./-])lib(?=[./](?P<module>[A-Za-z_]\w*)|``| import )")
# What must not stay. A folder lib/python3.11 belongs to an environment.
_REST = re.compile(r"(?<![\w./-])lib(?![\w-]|/python)")


def build_wheel(
    wheel_directory: str,
    config_settings: dict[str, Any] | None = None,
    metadata_directory: str | None = None,
) -> str:
    """Build the wheel from a renamed copy; return its file's name."""
    target = str(Path(wheel_directory).resolve())
    with _renamed_copy():
        return str(build_meta.build_wheel(target, config_settings, metadata_directory))


def prepare_metadata_for_build_wheel(
    metadata_directory: str, config_settings: dict[str, Any] | None = None
) -> str:
    """Write the wheel's metadata; return their folder's name."""
    target = str(Path(metadata_directory).resolve())
    with _renamed_copy():
        return str(build_meta.prepare_metadata_for_build_wheel(target, config_settings))


@contextmanager
def _renamed_copy() -> Iterator[None]:
    """Work in a renamed copy of the present folder."""
    with tempfile.TemporaryDirectory(prefix="wheel-") as folder:
        copy_renamed(Path.cwd(), Path(folder))
        with chdir(folder):
            yield


def copy_renamed(clone: Path, target: Path) -> None:
    """Copy what a wheel is built from, with the package under its own name.

    Raises:
        ValueError: a module refers to ``lib`` in a way that cannot be renamed.
    """
    package = target / PACKAGE
    shutil.copytree(clone / "lib", package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(clone / "conf", package / "conf", ignore=shutil.ignore_patterns(*_NOT_READ))
    for name in ("README.md", "LICENSE"):
        shutil.copy2(clone / name, target / name)
    metadata = (clone / "setup.cfg").read_text()
    (target / "setup.cfg").write_text(re.sub(r"\blib\b", PACKAGE, metadata))

    known = {path.stem for path in (clone / "lib").iterdir()}
    for module in package.rglob("*.py"):
        place = str(Path("lib", module.relative_to(package)))
        module.write_text(rename_references(module.read_text(), known, place))


def rename_references(text: str, known: Collection[str], place: str) -> str:
    """Give the package its own name in the text of a module.

    Args:
        text: the source of the module.
        known: the modules and folders in ``lib``.
        place: the module's path, for messages.

    Raises:
        ValueError: names the line in which ``lib`` stands for something else.
    """

    def rename(match: re.Match[str]) -> str:
        is_known = match["module"] is None or match["module"] in known
        return PACKAGE if is_known else match[0]

    renamed = _REFERENCE.sub(rename, text)
    if (rest := _REST.search(renamed)) is not None:
        number = renamed.count("\n", 0, rest.start())
        raise ValueError(
            f"{place}:{number + 1}: found `{renamed.splitlines()[number].strip()}`, expected lib"
            " only in the name of a module, which a wheel renames; the package's own name is"
            ' __name__.partition(".")[0]'
        )
    return renamed
