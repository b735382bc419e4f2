"""No secret can be seen in anything that the job shows or leaves behind."""

from __future__ import annotations

import json
import re
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
import trustme

from lib.tools.broker.ports import pick_free_ports
from tests.end_to_end.jobs import JOB_TIMEOUT_S, Deployment, start_job
from tests.security.cluster import SecureBroker, User, as_pkcs8, grant, rights_of
from tests.security.test_job import write_options
from tests.support.topics import build_customers, produce, read_topic

pytestmark = pytest.mark.broker

PAGES = ("jobs", "stages", "storage", "environment", "executors", "SQL", "StreamingQuery")
RESOURCES = ("", "/environment", "/jobs", "/stages", "/allexecutors", "/storage/rdd")
_LINK = re.compile(r'href="(/[^"#]*(?:execution|statistics|job|stage)/?\?[^"#]*)"')
_PATIENCE_S = 120.0


def read_url(address: str) -> str:
    with urllib.request.urlopen(address, timeout=30) as answer:  # noqa: S310  the job's own UI
        content: bytes = answer.read()
    return content.decode(errors="replace")


def read_ui(port: int) -> Iterator[tuple[str, str]]:
    """Yield (address, text) of every page, of the pages that it links, and of the REST API."""
    root = f"http://127.0.0.1:{port}"
    found: set[str] = set()
    for page in PAGES:
        text = read_url(f"{root}/{page}/")
        found |= {link.replace("&amp;", "&") for link in _LINK.findall(text)}
        yield page, text
    for link in sorted(found):
        yield link, read_url(root + link)
    (application,) = json.loads(read_url(f"{root}/api/v1/applications"))
    api = f"{root}/api/v1/applications/{application['id']}"
    for resource in RESOURCES:
        yield f"api{resource}", read_url(api + resource)
    executions = read_url(f"{api}/sql?details=true&planDescription=true&length=1000")
    yield "api/sql", executions
    for execution in json.loads(executions)[-3:]:
        link = f"/SQL/execution/?id={execution['id']}"
        yield link, read_url(root + link)


def read_files(folder: Path) -> Iterator[tuple[str, str]]:
    for path in folder.rglob("*"):
        if path.is_file():
            yield str(path.relative_to(folder)), path.read_bytes().decode(errors="replace")


def read_command_lines(pid: int) -> Iterator[tuple[str, str]]:
    """Yield the command lines of a process and of all processes below it."""
    parent = psutil.Process(pid)
    for process in (parent, *parent.children(recursive=True)):
        with suppress(psutil.NoSuchProcess):  # Hadoop starts many processes that end at once
            yield f"process {process.pid} {process.name()}", " ".join(process.cmdline())


def stop_job(pid: int) -> None:
    """Send SIGTERM to the job, which is a child of spark-submit."""
    for process in psutil.Process(pid).children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            command = process.cmdline()
            if len(command) > 1 and command[1].endswith("score_stream.py"):
                process.terminate()


def wait_for_answers(
    process: subprocess.Popen[str], broker: SecureBroker, topic: str, count: int
) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while len(read_topic(broker.admin_servers, topic)) < count:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, "no predictions in time"
        time.sleep(1.0)


@pytest.mark.parametrize("delivery", ["exactly-once", "at-least-once"])
def test_no_secret_is_seen_anywhere(
    secure_broker: SecureBroker,
    authority: trustme.CA,
    user: User,
    secure_deployment: Deployment,
    model_store: Path,
    tmp_path: Path,
    delivery: str,
) -> None:
    deployment = replace(secure_deployment, store=model_store)
    grant(secure_broker, rights_of(deployment, delivery=delivery))
    own = authority.issue_cert("churn-job.example.com")
    key = as_pkcs8(own).decode()
    chain = "".join(blob.bytes().decode() for blob in own.cert_chain_pems)
    settings, secrets = write_options(
        secure_broker, tmp_path, **{"ssl.key.pem": key, "ssl.certificate.pem": chain}
    )
    # These parts of the secrets stay the same however they are quoted.
    hidden = {"password": "correct-horse", "key": key.splitlines()[1]}
    assert all(part in json.dumps(secrets.read_text()) for part in hidden.values())
    events = tmp_path / "events"
    events.mkdir()
    (port,) = pick_free_ports(1)
    spark_options = {
        "spark.ui.enabled": "true",
        "spark.ui.port": str(port),
        "spark.eventLog.enabled": "true",
        "spark.eventLog.dir": events.as_uri(),
        "spark.eventLog.compress": "false",
    }
    produce(secure_broker.admin_servers, deployment.input_topic, build_customers(200))
    # This backend's plan says most about what it does.
    arguments = deployment.arguments(delivery=delivery, trigger="1 second", backend="sql")

    shown: dict[str, str] = {}
    with start_job(
        ["--config", str(settings), "--verbose", *arguments],
        environment={"SCORE_KAFKA_SECRETS": str(secrets)},
        spark_options=spark_options,
    ) as process:
        wait_for_answers(process, secure_broker, deployment.output_topic, 200)
        shown.update(read_command_lines(process.pid))
        shown.update(read_ui(port))
        stop_job(process.pid)
        output, errors = process.communicate(timeout=JOB_TIMEOUT_S)
    shown |= {"output": output, "errors": errors}
    shown.update(read_files(events))
    shown.update(read_files(deployment.checkpoint))

    # The search works: the topic's name, which is no secret, is found in all these places.
    topic = deployment.input_topic
    places = {re.sub(r"\?.*|\d+ ", "", name) for name, text in shown.items() if topic in text}
    assert {"process java", "offsets/0"} <= places, places
    assert deployment.query_name in shown["api/sql"]
    assert any(name.startswith("/SQL/execution/") for name in shown)
    assert any(name.startswith("eventlog") for name in places), places
    leaks = [
        (place, name)
        for place, text in shown.items()
        for name, part in hidden.items()
        if part in text
    ]
    assert leaks == []
