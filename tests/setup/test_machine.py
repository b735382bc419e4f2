"""Tests of the lines about what a machine or a container lacks."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest

from lib.setup.places import PROJECT_ROOT
from tests.support.process import run_python


def test_a_user_without_a_name_is_told_how_to_get_one() -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")
    become = "import os, lib.setup.machine as machine; os.seteuid(54321); machine.check_user()"
    done = run_python("-c", become)
    assert done.stderr.splitlines()[-1] == (
        "lib.errors.SetupError: the user id 54321 has no name on this machine, and Hadoop, a part "
        "of Spark, starts for no user without one (add the line "
        "`scoring:x:54321:0::/tmp:/bin/sh` to /etc/passwd, in a container when its image is built "
        "or by its entry point)"
    )


@pytest.mark.parametrize("module", ["lib.setup.launch", "lib.tools.broker"])
def test_a_loopback_interface_without_ipv4_is_one_clear_line(module: str) -> None:
    empty = ["unshare", "--net"]
    if shutil.which("unshare") is None or subprocess.run([*empty, "true"], check=False).returncode:
        pytest.skip("this user may not make a network namespace")
    alone = 'ip link set lo up && ip address del 127.0.0.1/8 dev lo && exec "$@"'
    command = [*empty, "sh", "-c", alone, "sh", sys.executable, "-m", module]
    done = subprocess.run(command, cwd=PROJECT_ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "error: 127.0.0.1: Cannot assign requested address, and PySpark reaches its JVM at no "
        "other address (give it to the loopback interface: ip address add 127.0.0.1/8 dev lo)\n"
    )
