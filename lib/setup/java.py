"""Finds a Java that is new enough for Spark and the embedded broker.

``python -m lib.setup.java`` prints it; the module needs nothing but the standard library,
because ``make`` asks before anything is installed.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lib.errors import SetupError

#: The oldest Java that Spark 4 and Kafka 4 run on.
MINIMUM_JAVA = 17

#: `java -version` answers in a tenth of a second; a hanging wrapper script must not hang `make`.
ANSWER_TIMEOUT_S = 30.0

_HINT = f"install Java {MINIMUM_JAVA} or newer, then set JAVA_HOME or put java on PATH"

# Up to Java 8 the version was written 1.8.0_392, later 17.0.15 or 21-ea.
_VERSION = re.compile(r'version "((?:1\.)?(\d+)[^"]*)"')


@dataclass(frozen=True)
class Java:
    """A usable Java.

    Attributes:
        executable: the ``java`` command.
        major: its major version, for example 17.
        version: the whole version, for example 17.0.15.
        found_by: ``JAVA_HOME`` or ``PATH``.
    """

    executable: Path
    major: int
    version: str
    found_by: str


def find_java(environment: Mapping[str, str] | None = None) -> Java:
    """Find Java the way Spark's own scripts do: ``JAVA_HOME`` first, then ``PATH``.

    Args:
        environment: environment variables; those of this process by default.

    Raises:
        SetupError: there is none, it does not run, or it is older than ``MINIMUM_JAVA``.
    """
    variables = os.environ if environment is None else environment
    executable, found_by = _locate(variables)
    try:
        answer = subprocess.run(
            [str(executable), "-version"],
            capture_output=True,
            text=True,
            timeout=ANSWER_TIMEOUT_S,
            env=dict(variables),
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SetupError(
            f"Java {MINIMUM_JAVA}+ is needed; {executable} (by {found_by}) does not run", hint=_HINT
        ) from error
    # JAVA_TOOL_OPTIONS and the like print lines of their own before the version.
    match = _VERSION.search(answer.stderr + answer.stdout)
    if match is None:
        raise SetupError(
            f"Java {MINIMUM_JAVA}+ is needed; {executable} (by {found_by}) tells no version",
            hint=_HINT,
        )
    major = int(match.group(2))
    if major < MINIMUM_JAVA:
        raise SetupError(
            f"Java {MINIMUM_JAVA}+ is needed; "
            f"found Java {match.group(1)} at {executable} (by {found_by})",
            hint=_HINT,
        )
    return Java(executable, major, match.group(1), found_by)


def _locate(variables: Mapping[str, str]) -> tuple[Path, str]:
    home = variables.get("JAVA_HOME", "")
    if home:
        executable = Path(home) / "bin" / "java"
        if not os.access(executable, os.X_OK):
            raise SetupError(
                f"Java {MINIMUM_JAVA}+ is needed; JAVA_HOME is {home}, which has no bin/java",
                hint=_HINT,
            )
        return executable, "JAVA_HOME"
    found = shutil.which("java", path=variables.get("PATH", ""))
    if found is None:
        raise SetupError(
            f"Java {MINIMUM_JAVA}+ is needed; JAVA_HOME is not set and no java is on PATH",
            hint=_HINT,
        )
    return Path(found), "PATH"


def main() -> int:
    """Print the Java in use, or why there is none, and return the exit code."""
    try:
        java = find_java()
    except SetupError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"Java {java.version}: {java.executable} (by {java.found_by})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
