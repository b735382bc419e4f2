"""The demonstration runs on the suite's broker with a model that exists already."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka.admin import AdminClient

from lib.setup.places import PROJECT_ROOT
from lib.tools.broker import Broker
from tests.end_to_end.jobs import JOB_TIMEOUT_S, kill_group
from tests.support.name_server import NameServer, list_foreign

JOB = PROJECT_ROOT / "jobs" / "demo.py"
SMALL = ("--count", "2000", "--steady-count", "200", "--steady-rate", "100")


@contextmanager
def start_demo(
    broker: Broker, model_store: Path, folder: Path, *options: str, launcher: Sequence[str] = ()
) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [*launcher, sys.executable, str(JOB), "--store", str(model_store), *SMALL, *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        env={
            **os.environ,
            "KAFKA_BOOTSTRAP_SERVERS": broker.bootstrap_servers,
            "TMPDIR": str(folder),
        },
    )
    with process:
        try:
            yield process
        finally:
            kill_group(process)


def read_until(process: subprocess.Popen[str], text: str) -> str:
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if text in line:
            break
    return "".join(lines)


def read_event(address: str) -> dict[str, Any]:
    """Return the newest event of the page."""
    with urllib.request.urlopen(f"http://{address}/events", timeout=30) as events:
        for line in events:
            if line.startswith(b'data: {"at_s"'):
                event: dict[str, Any] = json.loads(line.removeprefix(b"data: "))
                return event
    raise AssertionError("the page sent no event")


def find_answer(address: str, key: str) -> dict[str, Any]:
    """Return what the page finds for the key of a record."""
    body = json.dumps({"key": key}).encode()
    with urllib.request.urlopen(f"http://{address}/search", body, timeout=60) as answer:
        found: dict[str, Any] = json.load(answer)
        return found


def list_leftovers(broker: Broker, folder: Path) -> list[str]:
    """Return demo topics, files in the folder, and processes that use the folder."""
    admin = AdminClient({"bootstrap.servers": broker.bootstrap_servers})
    topics = [name for name in admin.list_topics(timeout=60).topics if name.startswith("demo-")]
    processes = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True)
    users = [line for line in processes.stdout.splitlines() if str(folder) in line]
    return [*topics, *(path.name for path in folder.glob("churn-demo-*")), *users]


def test_every_record_comes_back_once_and_nothing_is_left_behind(
    broker: Broker, model_store: Path, tmp_path: Path, name_server: NameServer
) -> None:
    launcher = name_server.launcher
    with start_demo(broker, model_store, tmp_path, launcher=launcher) as demo:
        output, _ = demo.communicate(timeout=JOB_TIMEOUT_S)

    assert demo.returncode == 0, output
    assert "2,200 records in = 2,178 predictions + 22 dead letters out" in output
    assert "every key came back once" in output
    assert re.search(r"100 records at 100/s.* half within [\d,]+ ms", output)
    assert re.search(r"\d{4}-[A-Z]{5}  0\.\d{6}  (Yes|No )  churn@1/onnx", output)
    assert "validation_error" in output
    assert list_leftovers(broker, tmp_path) == []
    # It lasts longer than a library needs to report to its maker.
    assert list_foreign(name_server.names) == set()


@pytest.mark.parametrize(
    ("number", "moment"),
    [(signal.SIGINT, "starting the job"), (signal.SIGTERM, "sent 2,000")],
)
def test_a_signal_at_any_time_cleans_up(
    broker: Broker, model_store: Path, tmp_path: Path, number: signal.Signals, moment: str
) -> None:
    with start_demo(broker, model_store, tmp_path) as demo:
        read_until(demo, moment)
        demo.send_signal(number)
        output, _ = demo.communicate(timeout=60)

    assert (demo.returncode, output) == (130, "")
    assert list_leftovers(broker, tmp_path) == []


def test_keep_goes_on_until_ctrl_c_and_its_advice_works(
    broker: Broker, model_store: Path, tmp_path: Path
) -> None:
    with start_demo(broker, model_store, tmp_path, "--keep") as demo:
        output = read_until(demo, "jobs/produce.py")
        command = output.splitlines()[-1].strip().replace("--rate 100", "--rate 500")
        subprocess.run(command.split(), cwd=PROJECT_ROOT, check=True, timeout=60)
        shown = read_until(demo, "3,1")  # 2,178 predictions came before, these are 950 more
        found = re.search(r"its page, while it runs: http://(127\.0\.0\.1:\d+)/", output)
        assert found is not None
        now = read_event(found[1])
        sample = re.search(r"(\d{4}-[A-Z]{5})  0\.\d{6}", output)
        assert sample is not None
        answer = find_answer(found[1], sample[1])
        demo.send_signal(signal.SIGINT)
        rest, _ = demo.communicate(timeout=60)

    assert re.search(r"3,1\d\d predictions, \d+ dead letters", shown)
    assert now["state"]["state"] == "running"
    assert now["records"] >= 3_100
    assert sum(row["count"] for row in now["dead_letters"]) >= 22
    assert now["dead_letters"][0]["newest"]
    assert now["model"]["scored_by"] == "churn@1/onnx"
    assert now["processes"].keys() == {"driver", "jvm", "workers"}
    assert answer["words"] == "Found."
    assert f'"customerID": "{sample[1]}"' in answer["messages"][0]["text"]
    assert demo.returncode == 0
    assert "done" in rest
    assert list_leftovers(broker, tmp_path) == []


def test_a_model_that_is_not_there_is_one_clear_line(broker: Broker, tmp_path: Path) -> None:
    with start_demo(broker, tmp_path, tmp_path, "--model", "churn@7") as demo:
        output, _ = demo.communicate(timeout=60)

    assert demo.returncode == 1
    assert output.splitlines()[-1].startswith("error: churn@7: not found")
    assert list_leftovers(broker, tmp_path) == []
