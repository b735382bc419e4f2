"""A process that is killed at any step leaves a whole current generation, old or new."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from lib.errors import EvaluationError
from lib.evaluation.generations import Generations, write_json
from lib.setup.places import PROJECT_ROOT

STEPS = (
    "leftovers removed",
    "folder made",
    "half written",
    "files flushed",
    "link made",
    "published",
)
_RUN = f"""
import os, signal, sys
sys.path.insert(0, {str(PROJECT_ROOT)!r})
from pathlib import Path
from lib.evaluation.generations import Generations, write_json
def strike(step):
    if step == sys.argv[2]: os.kill(os.getpid(), signal.SIGKILL)
generations = Generations(Path(sys.argv[1]), strike)
with generations.locked():
    state = generations.read_state() or {{"runs": 0}}
    fresh = generations.begin()
    (fresh / "table").mkdir()
    (fresh / "table" / "part").write_text(str(state["runs"] + 1))
    strike("half written")
    write_json(fresh / "state.json", {{"runs": state["runs"] + 1}})
    generations.publish(fresh)
"""


def run(root: Path, step: str = "none") -> int:
    """Run a generation in a process that kills itself at a step; return its code."""
    return subprocess.run([sys.executable, "-c", _RUN, root, step], check=False).returncode


def read(root: Path) -> tuple[int, str]:
    """Read both files of the current generation."""
    current = root / "current"
    state = json.loads((current / "state.json").read_text())
    return state["runs"], (current / "table" / "part").read_text()


@pytest.mark.parametrize("step", STEPS)
def test_a_run_that_is_killed_changes_nothing_or_everything(tmp_path: Path, step: str) -> None:
    assert run(tmp_path) == 0

    assert run(tmp_path, step) == -signal.SIGKILL
    done = 2 if step == "published" else 1
    assert read(tmp_path) == (done, str(done))
    assert run(tmp_path) == 0

    assert read(tmp_path) == (done + 1, str(done + 1))
    assert sorted(it.name for it in tmp_path.iterdir()) == ["current", "generations", "lock"]
    assert len(list((tmp_path / "generations").iterdir())) == 2


def test_the_first_run_may_be_killed_too(tmp_path: Path) -> None:
    assert run(tmp_path, "link made") == -signal.SIGKILL
    assert Generations(tmp_path).current is None
    assert run(tmp_path) == 0
    assert read(tmp_path) == (1, "1")


def test_a_second_run_is_refused_and_the_first_goes_on(tmp_path: Path) -> None:
    with (
        Generations(tmp_path).locked(),
        pytest.raises(EvaluationError, match="another evaluation writes there now"),
        Generations(tmp_path).locked(),
    ):
        pass
    with Generations(tmp_path).locked():
        pass


@pytest.mark.parametrize("name", ["report.html", "data"])
def test_a_folder_of_something_else_is_left_alone(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("mine")

    with pytest.raises(EvaluationError, match=f"holds {name}, which no evaluation has written"):
        Generations(tmp_path).locked().__enter__()

    assert (tmp_path / name).read_text() == "mine"


def test_a_copy_that_followed_the_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "current").mkdir()

    with pytest.raises(EvaluationError, match="current, which is no symbolic link"):
        Generations(tmp_path).locked().__enter__()


def test_a_generation_that_is_not_whole_is_told(tmp_path: Path) -> None:
    generations = Generations(tmp_path)
    with generations.locked():
        fresh = generations.begin()
        write_json(fresh / "state.json", {})
        generations.publish(fresh)
    (tmp_path / "current" / "state.json").unlink()

    with pytest.raises(EvaluationError, match=r"state\.json cannot be read"):
        generations.read_state()
