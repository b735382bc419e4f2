from __future__ import annotations

import os
import subprocess
import sys

from lib.setup.places import PROJECT_ROOT
from tests.longest import LONGEST


def collect(*options: str, worker: bool) -> list[str]:
    """Return the files of the tests that pytest would run, in their order."""
    variables = {"PYTEST_XDIST_WORKER": "gw0"} if worker else {}
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST_")}
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "no:xdist"]
    done = subprocess.run(
        [*command, "--collect-only", "--quiet", *options],
        cwd=PROJECT_ROOT,
        env=environment | variables,
        capture_output=True,
        text=True,
        check=False,
    )
    files = (line.partition("::")[0] for line in done.stdout.splitlines() if "::" in line)
    return list(dict.fromkeys(files))


def test_the_files_that_take_longest_exist() -> None:
    assert [path for path in LONGEST if not (PROJECT_ROOT / path).is_file()] == []
    assert len(set(LONGEST)) == len(LONGEST)


def test_processes_begin_with_the_files_that_take_longest() -> None:
    short = ("tests/test_errors.py", "tests/kafka/test_broker_settings.py")
    long = ("tests/setup/test_wheel.py", "tests/score/test_spark.py")

    assert collect(*short, *long, worker=True) == [
        "tests/score/test_spark.py",
        "tests/setup/test_wheel.py",
        "tests/kafka/test_broker_settings.py",  # one of its tests has a broker
        "tests/test_errors.py",
    ]


def test_a_test_with_a_broker_of_its_own_is_none_without_a_jvm() -> None:
    pure = ("-m", "not spark and not broker")

    assert collect("tests/end_to_end/test_operator.py", *pure, worker=False) == []
    assert collect("tests/end_to_end/test_stops.py", *pure, worker=False) == []
