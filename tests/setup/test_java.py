"""Java is found, or one clear line says that it is missing or too old."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from lib.errors import SetupError
from lib.setup.java import find_java
from lib.setup.places import PROJECT_ROOT

_HINT = "(install Java 17 or newer, then set JAVA_HOME or put java on PATH)"


def install_java(folder: Path, answer: str) -> Path:
    """Put a ``java`` into ``folder/bin`` that prints the answer to standard error, as Java does."""
    executable = folder / "bin" / "java"
    executable.parent.mkdir(parents=True)
    executable.write_text(f"#!/bin/sh\ncat >&2 <<'END'\n{answer}\nEND\n")
    executable.chmod(0o755)
    return executable


def version_line(version: str) -> str:
    return f'openjdk version "{version}" 2025-04-15\nOpenJDK Runtime Environment'


@pytest.mark.parametrize(
    ("version", "major"), [("17.0.15", 17), ("17", 17), ("21.0.2", 21), ("25-ea", 25)]
)
def test_java_on_path_is_found(tmp_path: Path, version: str, major: int) -> None:
    executable = install_java(tmp_path, version_line(version))
    java = find_java({"PATH": f"{executable.parent}:/usr/bin:/bin"})
    assert (java.executable, java.version, java.major, java.found_by) == (
        executable,
        version,
        major,
        "PATH",
    )


def test_java_home_wins_over_path(tmp_path: Path) -> None:
    at_home = install_java(tmp_path / "home", version_line("21.0.2"))
    on_path = install_java(tmp_path / "path", version_line("17.0.15"))
    java = find_java({"JAVA_HOME": str(tmp_path / "home"), "PATH": f"{on_path.parent}:/bin"})
    assert (java.executable, java.found_by) == (at_home, "JAVA_HOME")


def test_lines_before_the_version_do_no_harm(tmp_path: Path) -> None:
    answer = "Picked up JAVA_TOOL_OPTIONS: -Xmx1g\n" + version_line("17.0.15")
    executable = install_java(tmp_path, answer)
    assert find_java({"PATH": f"{executable.parent}:/bin"}).major == 17


@pytest.mark.parametrize("version", ["11.0.22", "1.8.0_392"])
def test_an_old_java_is_refused_and_named(tmp_path: Path, version: str) -> None:
    executable = install_java(tmp_path, version_line(version))
    expected = f"Java 17+ is needed; found Java {version} at {executable} (by PATH) {_HINT}"
    with pytest.raises(SetupError, match=f"^{re.escape(expected)}$"):
        find_java({"PATH": f"{executable.parent}:/bin"})


def test_no_java_is_refused(tmp_path: Path) -> None:
    expected = f"Java 17+ is needed; JAVA_HOME is not set and no java is on PATH {_HINT}"
    with pytest.raises(SetupError, match=f"^{re.escape(expected)}$"):
        find_java({"PATH": str(tmp_path)})


def test_a_java_home_without_java_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match=f"JAVA_HOME is {tmp_path}, which has no bin/java"):
        find_java({"JAVA_HOME": str(tmp_path), "PATH": os.environ["PATH"]})


def test_a_java_that_tells_no_version_is_refused(tmp_path: Path) -> None:
    executable = install_java(tmp_path, "The operation could not be completed.")
    with pytest.raises(SetupError, match="tells no version"):
        find_java({"PATH": f"{executable.parent}:/bin"})


def test_a_java_that_does_not_run_is_refused(tmp_path: Path) -> None:
    executable = install_java(tmp_path, "")
    executable.write_text("#!/no/such/interpreter\n")
    with pytest.raises(SetupError, match="does not run"):
        find_java({"PATH": f"{executable.parent}:/bin"})


def test_the_program_prints_one_line_and_fails(tmp_path: Path) -> None:
    install_java(tmp_path, version_line("11.0.22"))
    program = subprocess.run(
        [sys.executable, "-m", "lib.setup.java"],
        capture_output=True,
        text=True,
        cwd=PROJECT_ROOT,
        env={"JAVA_HOME": str(tmp_path), "PATH": os.environ["PATH"]},
        check=False,
    )
    assert program.returncode == 1
    assert program.stdout == ""
    assert program.stderr == (
        "error: Java 17+ is needed; "
        f"found Java 11.0.22 at {tmp_path}/bin/java (by JAVA_HOME) {_HINT}\n"
    )
