"""The guard cleans up after a process that can no longer do so."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from lib.tools.broker.guarded_folder import GuardedFolder


@pytest.fixture(autouse=True)
def _temporary_files_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))


def start_sleeper() -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])


def test_removing_the_folder_kills_the_process_named_last() -> None:
    folder = GuardedFolder.create("guarded-")
    (folder.path / "data").write_text("x")
    with start_sleeper() as former, start_sleeper() as latter:
        folder.watch(former.pid)
        folder.watch(latter.pid)
        folder.remove()

        assert latter.wait(60) == -9
        assert former.poll() is None
        former.kill()
    assert not folder.path.exists()


def test_processes_of_other_names_are_killed_as_well() -> None:
    folder = GuardedFolder.create("guarded-")
    with start_sleeper() as one, start_sleeper() as other:
        folder.watch(one.pid, "one")
        folder.watch(other.pid, "other")
        folder.remove()

        assert one.wait(60) == other.wait(60) == -9


def test_a_process_that_was_taken_back_is_left_alone() -> None:
    folder = GuardedFolder.create("guarded-")
    with start_sleeper() as sleeper:
        folder.watch(sleeper.pid)
        folder.watch(None)
        folder.remove()

        assert sleeper.poll() is None
        sleeper.kill()
    assert not folder.path.exists()


def test_a_process_that_has_ended_by_itself_is_no_obstacle() -> None:
    folder = GuardedFolder.create("guarded-")
    with start_sleeper() as sleeper:
        sleeper.kill()
        sleeper.wait()
    folder.watch(sleeper.pid)
    folder.remove()
    assert not folder.path.exists()


def test_the_folder_goes_when_the_owner_is_killed(tmp_path: Path) -> None:
    program = (
        "import os, signal; from lib.tools.broker.guarded_folder import GuardedFolder;"
        f"import tempfile; tempfile.tempdir = {str(tmp_path)!r};"
        "GuardedFolder.create('guarded-'); os.kill(os.getpid(), signal.SIGKILL)"
    )
    owner = subprocess.run([sys.executable, "-c", program], check=False, timeout=30)
    assert owner.returncode == -9
    for _ in range(200):
        if not list(tmp_path.iterdir()):
            return
        subprocess.run(["sleep", "0.05"], check=True)
    pytest.fail("the folder is still there")
