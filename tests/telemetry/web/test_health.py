"""Metrics and health are served over HTTP while the job lasts."""

from __future__ import annotations

import json
import socket
import urllib.error
import urllib.request
from typing import Any

import pytest

from lib.address import Address
from lib.errors import SettingsError
from lib.telemetry.figures import Figures
from lib.telemetry.state import JobState, State
from lib.telemetry.web.health import list_routes
from lib.telemetry.web.server import WebServer

ANY = Address("127.0.0.1", 0)


def get(address: Address, path: str) -> tuple[int, str, str]:
    """Return status, content type and text."""
    try:
        with urllib.request.urlopen(f"http://{address}{path}", timeout=10) as answer:
            return answer.status, answer.headers["content-type"], answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers["content-type"], error.read().decode()


def serve(figures: Figures, job: JobState) -> WebServer:
    return WebServer("--metrics", ANY, list_routes(figures, job))


def test_health_follows_the_state_and_says_why() -> None:
    job = JobState()
    job.enter(State.STARTING, "waits for the model")
    answers: list[tuple[int, dict[str, Any]]] = []
    with serve(Figures(), job) as server:
        for state, reason in (
            (State.STARTING, "waits for the model"),
            (State.RUNNING, ""),
            (State.STUCK, "waits for brokers, which have been away for 12 s"),
            (State.STOPPING, "a signal asked for it"),
        ):
            job.enter(state, reason)
            status, kind, text = get(server.address, "/health/ready")
            assert kind == "application/json"
            answers.append((status, json.loads(text)))
            assert get(server.address, "/health/live")[0] == 200

    assert [(status, it["state"], it["reason"], it["ready"]) for status, it in answers] == [
        (503, "starting", "waits for the model", False),
        (200, "running", "", True),
        (503, "stuck", "waits for brokers, which have been away for 12 s", False),
        (503, "stopping", "a signal asked for it", False),
    ]


def test_metrics_are_text_that_prometheus_reads() -> None:
    with serve(Figures(fenced=3), JobState()) as server:
        status, kind, text = get(server.address, "/metrics")

    assert (status, kind) == (200, "text/plain; version=0.0.4; charset=utf-8")
    assert "\nscoring_fenced_total 3.0\n" in text


def test_nothing_else_is_served_and_nothing_can_be_sent() -> None:
    with serve(Figures(), JobState()) as server:
        assert get(server.address, "/")[0] == 404
        request = urllib.request.Request(f"http://{server.address}/metrics", data=b"x")
        with pytest.raises(urllib.error.HTTPError, match="405"):
            urllib.request.urlopen(request, timeout=10)  # noqa: S310


def test_the_port_is_free_again_after_the_block() -> None:
    with serve(Figures(), JobState()) as server:
        address = server.address

    with WebServer("--metrics", address, ()) as again:
        assert again.address == address


def test_an_address_that_cannot_be_used_ends_the_job_with_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(SettingsError) as error:
            WebServer("--metrics", Address("127.0.0.1", port), ())
    assert error.value.message == f"--metrics 127.0.0.1:{port}: Address already in use"
    assert error.value.hint == "another program listens there: end it, or name another port"

    with pytest.raises(SettingsError, match=r"--metrics 203\.0\.113\.1:9464: Cannot assign"):
        WebServer("--metrics", Address("203.0.113.1", 9464), ())
