"""The memory and processor time of processes is measured, and the latter never falls."""

from __future__ import annotations

import os
import subprocess
import sys

import psutil
import pytest

from lib.stream.watch.use import CpuMeter, measure_processes


def test_processor_time_includes_processes_that_have_ended() -> None:
    first, second = psutil.Process(os.getpid()), psutil.Process(os.getppid())
    meter = CpuMeter()

    assert meter.add("workers", {first: 2.0, second: 3.0}) == 5.0
    assert meter.add("workers", {second: 4.0}) == 6.0
    assert meter.add("jvm", {first: 1.0}) == 1.0
    assert meter.add("workers", {}) == 6.0
    # A new worker begins at 0.
    assert meter.add("workers", {first: 0.5}) == 6.5


def test_processes_below_the_jvm_are_its_workers() -> None:
    # The program stands for the JVM, which starts a worker.
    program = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'input()'])"
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE) as jvm:
        while not psutil.Process(jvm.pid).children():
            pass
        found = measure_processes(jvm.pid, CpuMeter())
        jvm.communicate(b"\n")

    assert {name: use.count for name, use in found.items()} == {"driver": 1, "jvm": 1, "workers": 1}
    assert all(use.memory_bytes > 1_000_000 for use in found.values())
    assert found["driver"].cpu_s == pytest.approx(sum(os.times()[:2]), abs=5)


def test_without_a_jvm_the_driver_is_measured_alone() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        ended.wait()

    assert measure_processes(ended.pid, CpuMeter()).keys() == {"driver"}
