"""Every line that the job and Spark print is JSON with the same keys, whatever happens to them."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path
from typing import Any

import psutil

from lib.kafka.cluster import Cluster
from lib.kafka.topics import create_topics
from lib.log_lines import KEYS
from lib.tools.broker import EmbeddedBroker
from tests.end_to_end.jobs import Deployment, run_job, start_job
from tests.support.process import find_workers
from tests.support.topics import build_customers, produce, read_topic, take_account
from tests.support.waiting import wait_until

LEVELS = {"DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"}


def read_lines(text: str) -> list[dict[str, Any]]:
    """Read the lines of a log, and check that each has the keys of all."""
    found = [json.loads(line) for line in text.splitlines()]
    for line in found:
        assert tuple(line)[:4] == KEYS, line
        assert all(isinstance(line[key], str) for key in KEYS), line
        assert line["level"] in LEVELS, line
        time.strptime(line["time"], "%Y-%m-%dT%H:%M:%S.%fZ")
    return found


def test_a_run_with_a_killed_worker_an_outage_and_a_stop_prints_json_alone(
    crashable_broker: EmbeddedBroker, model_store: Path, checkpoint: Path, tmp_path: Path
) -> None:
    servers, records = crashable_broker.bootstrap_servers, build_customers(150)
    create_topics(Cluster(servers), dict.fromkeys(("in", "out", "dead"), 1))
    deployment = Deployment(servers, "in", "out", "dead", model_store, checkpoint, "json")
    arguments = deployment.arguments(trigger="100 milliseconds", backend="sklearn")
    log = tmp_path / "log"

    def is_told(text: str) -> bool:
        return text in log.read_text()

    def count_answers() -> int:
        return len(read_topic(servers, "out"))

    produce(servers, "in", records[:50])
    with (
        log.open("wb") as output,
        start_job(
            [*arguments, "--log-format", "json"],
            environment={"JAVA_TOOL_OPTIONS": "-Dsome.option=1"},
            output=output,
        ) as process,
    ):
        wait_until(lambda: is_told('"batch": 0'))
        workers = find_workers(psutil.Process(process.pid))
        for worker in workers:
            worker.suspend()
        produce(servers, "in", records[50:100])
        time.sleep(2)  # until Spark has given the batch to a worker
        for worker in workers:
            worker.kill()
        wait_until(lambda: count_answers() == 100)
        crashable_broker.kill()
        wait_until(lambda: is_told("no broker answers at"))
        crashable_broker.restart()
        produce(servers, "in", records[100:])
        wait_until(lambda: count_answers() == 150)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    wait_until(lambda: is_told("stopped after"))

    lines = read_lines(log.read_text())
    assert (
        take_account(records, read_topic(servers, "out"), read_topic(servers, "dead")).faults == {}
    )
    first = next(it["message"] for it in lines if it["logger"] == "stderr")
    assert first.startswith("Picked up JAVA_TOOL_OPTIONS: -Dsome.option=1")
    (lost, *_) = (it for it in lines if it["logger"].endswith(".TaskSetManager"))
    assert lost["level"] in ("WARNING", "ERROR")
    assert "Lost task 0.0" in lost["message"]
    loggers = {it["logger"] for it in lines}
    assert loggers >= {"lib.start", "lib.progress", "lib.stream.watch.outage"}
    (*batches, end) = (it for it in lines if it["logger"] == "lib.progress")
    assert batches[0]["batch"] == 0
    assert batches[0]["records"] == batches[0]["predictions"] == 50
    assert (end["records"], end["predictions"], end["dead_letters"]) == (150, 150, 0)
    assert not [it for it in lines if "Traceback" in it["message"]]


def test_a_refused_start_prints_json_alone(deployment: Deployment) -> None:
    done = run_job(deployment.arguments(input_topic="absent", log_format="json"))

    assert done.returncode == 1
    read_lines(done.stderr)
    *_, error = read_lines(done.stdout)
    assert (error["level"], error["logger"], error["exit_code"]) == ("ERROR", "lib.error", 1)
    assert "absent" in error["message"]
    assert "kafka-topics.sh" in error["hint"]
