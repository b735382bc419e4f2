"""Whatever a job prints becomes lines of JSON, and nothing is lost."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from typing import Any

from lib.log_lines import build_line
from lib.setup.log.json_stream import JsonStream
from lib.setup.places import PROJECT_ROOT

OWN = build_line("INFO", "lib.start", "ready", 0.0).encode() + b"\n"


def read(lines: Iterable[bytes]) -> list[dict[str, Any]]:
    found = [json.loads(line) for line in lines]
    assert all(it.pop("time").endswith("Z") for it in found)
    return found


def wrapped(message: str, level: str = "INFO") -> dict[str, Any]:
    return {"level": level, "logger": "stderr", "message": message}


def test_lines_of_the_log_pass_as_they_are_however_they_arrive() -> None:
    stream = JsonStream("stderr")
    data = OWN + b"x\n" + OWN

    pieces = [piece for at in range(len(data)) for piece in stream.feed(data[at : at + 1])]

    assert pieces[0] == OWN
    assert read(pieces[1:2]) == [wrapped("x")]
    assert pieces[2] == OWN
    assert len(pieces) == 3
    assert list(stream.close()) == []


def test_other_lines_become_one_with_those_that_come_at_once() -> None:
    stream = JsonStream("stderr")
    trace = b'Exception in thread "main" java.lang.Error: no\n\tat A.b(A.java)\r\n\n'

    assert list(stream.feed(b"Picked up JAVA_TOOL_OPTIONS: -Xmx1g\n")) == []
    waited = stream.is_pending
    assert read(stream.flush()) == [wrapped("Picked up JAVA_TOOL_OPTIONS: -Xmx1g")]
    assert (waited, stream.is_pending) == (True, False)
    assert list(stream.feed(trace)) == []
    error = wrapped('Exception in thread "main" java.lang.Error: no\n\tat A.b(A.java)', "ERROR")
    assert read(list(stream.feed(OWN))[:1]) == [error]


def test_the_level_is_that_of_the_worst_word() -> None:
    for text, level in (
        ("WARNING: Using incubator modules: jdk.incubator.vector", "WARNING"),
        ("# A fatal error has been detected by the Java Runtime Environment:", "ERROR"),
        ("UserWarning: KeyError", "ERROR"),
        ("loaded", "INFO"),
    ):
        stream = JsonStream("stderr")
        assert read([*stream.feed(text.encode()), *stream.close()]) == [wrapped(text, level)]


def test_other_json_and_bytes_that_are_no_text_are_wrapped_too() -> None:
    for line, message in (
        (b'{"ts":"1","msg":"m"}', '{"ts":"1","msg":"m"}'),
        (b'{"time":"1","level":', '{"time":"1","level":'),
        (b"{}", "{}"),
        (b"[1]", "[1]"),
        (b"\xff\x00\xc3\xbc", "\ufffd\x00ü"),
    ):
        stream = JsonStream("stderr")
        assert read([*stream.feed(line), *stream.close()]) == [wrapped(message)]
    blank = JsonStream("stderr")
    assert [*blank.feed(b"\n \n"), *blank.close()] == []


def test_a_flood_becomes_objects_of_bounded_size() -> None:
    stream = JsonStream("stderr")
    lines = [*stream.feed(b"y" * 3_000_000), *stream.feed(b"\n" + b"z\n" * 200_000)]
    lines += stream.close()

    text = "".join(it["message"] for it in read(lines))
    assert (text.count("y"), text.count("z")) == (3_000_000, 200_000)
    assert max(map(len, lines[1:])) < 400_000


def test_the_process_outlives_the_signals_that_end_a_job_and_ends_with_the_stream() -> None:
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "lib.setup.log.json_stream", "stderr"],
        env={**os.environ, "PYTHONPATH": str(PROJECT_ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(OWN)
        process.stdin.flush()
        assert process.stdout.readline() == OWN  # it has started, and lines come at once
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            process.send_signal(number)
        process.stdin.write(b"one\ntwo\n")
        process.stdin.flush()
        began_s = time.monotonic()
        assert read([process.stdout.readline()]) == [wrapped("one\ntwo")]
        assert time.monotonic() - began_s < 5
        process.stdin.write(b"the end, without a line feed")
        process.stdin.close()
        assert read(process.stdout.readlines()) == [wrapped("the end, without a line feed")]
    assert process.returncode == 0
