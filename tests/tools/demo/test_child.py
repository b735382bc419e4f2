"""Processes that the demonstration starts are ended, whatever they do."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lib.errors import ScoringError
from lib.tools.broker.guarded_folder import GuardedFolder
from lib.tools.demo import child as child_module
from lib.tools.demo.child import Child
from tests.support.waiting import wait_until

Start = Callable[[str], Child]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    guard = GuardedFolder.create("test-child-")

    def build(code: str) -> Child:
        return Child("the child", [sys.executable, "-c", code], tmp_path / "child.log", guard)

    yield build
    guard.remove()


def await_line(child: Child, line: str) -> None:
    wait_until(lambda: line in child.log.read_text(), 20)


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().split(")")[1].split()[0] != "Z"


LISTENING = """
import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))
print('ready', flush=True)
time.sleep(60)
"""
DEAF = """
import signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
helper = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])
print('pid', helper.pid, flush=True)
time.sleep(60)
"""


def test_a_child_that_succeeds_is_waited_for(start: Start) -> None:
    with start("print('done')") as child:
        child.wait()

    assert child.log.read_text() == "done\n"


def test_a_child_that_fails_is_quoted_by_its_error_line(start: Start) -> None:
    code = "import sys; print('noise'); print('error: no such topic', file=sys.stderr); sys.exit(3)"
    with (
        start(code) as child,
        pytest.raises(ScoringError, match="the child ended with exit code 3: error: no such topic"),
    ):
        child.wait()


def test_a_child_that_ends_unasked_is_noticed(start: Start) -> None:
    with start("pass") as child:
        child.wait()
        with pytest.raises(ScoringError, match="the child ended with exit code 0"):
            child.check()


def test_a_child_is_asked_to_end_and_may_finish(start: Start) -> None:
    with start(LISTENING) as child:
        await_line(child, "ready")
        child.check()
        assert child.stop() == 7
        assert child.stop() == 7


def test_a_child_that_does_not_listen_is_killed_with_all_it_started(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(child_module, "_STOP_TIMEOUT_S", 0.5)
    with start(DEAF) as child:
        await_line(child, "pid")
        helper = int(child.log.read_text().split()[1])
        assert is_alive(helper)

    wait_until(lambda: not is_alive(helper))
