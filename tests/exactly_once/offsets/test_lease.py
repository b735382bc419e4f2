"""Row by row: which run has a query, and whether that run is alive."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from math import inf

import pytest

from lib.errors import OwnerAliveError, StartGivenUpError
from lib.exactly_once.offsets.lease import Life, Owner, find_owner, judge_owner
from lib.exactly_once.offsets.process_identity import has_ended, identify_process
from lib.exactly_once.offsets.stamp import Lease, Stamp, make_run_id
from lib.exactly_once.start.standby import stand_by
from lib.exactly_once.transaction.keep_alive import KeepAlive
from tests.support.waiting import wait_until

OURS, OTHER, THIRD = "host:1:aa", "host.example.org:7:bb.place.4711", "host:9:cc"


def stamp(run_id: str, committed_s: int | None, lasts_s: int = 30) -> str:
    lease = None if committed_s is None else Lease(committed_s, lasts_s)
    return Stamp("query", run_id, 3, "topic", lease=lease).to_metadata()


@pytest.mark.parametrize(
    ("stamps", "expected"),
    [
        pytest.param([], None, id="nothing is committed"),
        pytest.param([None, "", "by hand"], None, id="no stamps"),
        pytest.param([stamp(OURS, 100)], None, id="this run"),
        pytest.param([stamp(OTHER, None)], None, id="a former release, which gives no lease"),
        pytest.param([stamp(OTHER, 100, 0)], None, id="a run that has released the query"),
        pytest.param(
            [stamp(OTHER, 90), stamp(OTHER, 100), stamp(OURS, 110)],
            Owner(OTHER, Lease(100, 30)),
            id="the last of another run",
        ),
        pytest.param(
            [stamp(OTHER, 100), stamp(OTHER, 101, 0)], None, id="released after its last batch"
        ),
        pytest.param(
            [stamp(OTHER, 100, 0), stamp(OTHER, 100)], None, id="released in the second of that"
        ),
        pytest.param(
            [stamp(OTHER, 100), stamp(THIRD, 105)],
            Owner(THIRD, Lease(105, 30)),
            id="the last of several",
        ),
    ],
)
def test_the_owner_is_the_run_that_has_committed_last(
    stamps: list[str | None], expected: Owner | None
) -> None:
    assert find_owner(stamps, OURS) == expected


def test_an_owner_tells_its_machine_and_process() -> None:
    owner = Owner(OTHER, Lease(100, 30))

    assert (owner.host, owner.pid, owner.identity) == ("host.example.org", 7, "place.4711")
    assert str(owner) == f"run {OTHER} (host host.example.org, process 7)"
    former = Owner("elsewhere", Lease(1, 1))
    assert (former.pid, former.identity) == (0, "")


@pytest.mark.parametrize(
    ("now_s", "unchanged_s", "ended", "expected"),
    [
        pytest.param(110.0, 0.0, False, Life.ALIVE, id="fresh"),
        pytest.param(130.0, 30.0, False, Life.ALIVE, id="to the last second"),
        pytest.param(131.0, 0.0, False, Life.EXPIRED, id="expired when it is first seen"),
        pytest.param(110.0, 31.0, False, Life.SILENT, id="its clock is ahead, and it is silent"),
        pytest.param(20.0, 0.0, False, Life.ALIVE, id="its clock is far ahead"),
        pytest.param(20.0, 31.0, False, Life.SILENT, id="far ahead, and silent"),
        pytest.param(101.0, 0.0, True, Life.ENDED, id="its process has ended"),
    ],
)
def test_an_owner_is_alive_while_its_lease_lasts(
    now_s: float, unchanged_s: float, ended: bool, expected: Life
) -> None:
    owner = Owner(OTHER, Lease(100, 30))

    assert judge_owner(owner, now_s=now_s, unchanged_s=unchanged_s, has_ended=ended) is expected


def test_a_process_is_told_from_others_with_its_number() -> None:
    identity = identify_process()
    place, _, started = identity.partition(".")
    assert not has_ended(os.getpid(), identity)
    # In this case the process number has been used again.
    assert has_ended(os.getpid(), f"{place}.{int(started) + 1}")
    # In this case the process is in a container or on another machine.
    assert not has_ended(os.getpid(), f"another-place.{started}")
    assert not has_ended(os.getpid(), "")
    assert not has_ended(0, identity)

    code = (
        "from lib.exactly_once.offsets.process_identity import *\n"
        "print(identify_process())\n"
        "input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        of_child = child.stdout.readline().strip()
        assert not has_ended(child.pid, of_child)
        child.kill()
        # The process has died, although nobody has waited for it yet.
        wait_until(lambda: has_ended(child.pid, of_child))
    assert has_ended(child.pid, of_child)


def test_a_run_id_holds_what_tells_its_process() -> None:
    owner = Owner(make_run_id(), Lease(0, 1))

    assert (owner.pid, owner.identity) == (os.getpid(), identify_process())


def fresh_owner(lasts_s: int) -> Owner:
    return Owner(OTHER, Lease(int(time.time()), lasts_s))


def wait_for(owner: Owner | None, **changes: object) -> None:
    named = {"query_name": "q", "timeout_s": inf, "given_up": threading.Event(), **changes}
    stand_by(lambda: owner, **named)  # type: ignore[arg-type]


def test_a_start_waits_for_nobody_where_no_run_is_alive() -> None:
    wait_for(None)
    wait_for(Owner(OTHER, Lease(100, 30)))


def test_a_start_waits_for_a_run_that_is_alive_as_long_as_it_is_told_to(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with pytest.raises(OwnerAliveError, match=r"answered by run host.example.org:7:bb\.place"):
        wait_for(fresh_owner(600), timeout_s=0)
    given_up = threading.Event()
    given_up.set()
    with pytest.raises(StartGivenUpError):
        wait_for(fresh_owner(600), given_up=given_up)

    assert "(host host.example.org, process 7), which is alive: waiting" in caplog.text


def test_a_run_with_a_clock_ahead_is_taken_for_dead_once_it_is_silent_for_a_lease() -> None:
    started_s = time.monotonic()
    wait_for(Owner(OTHER, Lease(int(time.time()) + 3_600, 2)))

    assert time.monotonic() - started_s >= 2


def test_what_keeps_a_run_alive_goes_on_after_errors_that_pass_and_ends_when_told() -> None:
    calls: list[int] = []

    def act() -> None:
        calls.append(len(calls))

    with KeepAlive(act, every_s=0.01):
        wait_until(lambda: len(calls) > 3)
    count = len(calls)
    time.sleep(0.1)
    assert len(calls) == count
