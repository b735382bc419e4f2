"""The page over HTTP: files, events, documents, refusals, and the way in by token."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lib.telemetry.page.history import History
from lib.telemetry.state import State
from lib.telemetry.web import feed as feed_module
from lib.telemetry.web.documents import render_document
from lib.telemetry.web.feed import Feed
from lib.telemetry.web.server import WebServer
from tests.telemetry.page.filled import FACTS, build_figures, build_running, served

TOKEN = "0123456789abcdef-secret"


def ask(
    server: WebServer, path: str, method: str = "GET", body: str | None = None, **headers: str
) -> tuple[int, dict[str, str], str]:
    """Return status, headers and text of an answer; ``_`` in the names of headers is a dash."""
    connection = http.client.HTTPConnection("127.0.0.1", server.address.port, timeout=10)
    try:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, body, named)
        answer = connection.getresponse()
        found = {name.lower(): value for name, value in answer.getheaders()}
        return answer.status, found, answer.read().decode()
    finally:
        connection.close()


def iter_events(server: WebServer, **headers: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield name and contents of the events."""
    connection = http.client.HTTPConnection("127.0.0.1", server.address.port, timeout=10)
    try:
        connection.request("GET", "/events", headers=headers)
        answer = connection.getresponse()
        assert answer.getheader("content-type") == "text/event-stream; charset=utf-8"
        name = ""
        while line := answer.readline().decode().rstrip("\n"):
            if line.startswith("event: "):
                name = line.removeprefix("event: ")
            elif line.startswith("data: "):
                yield name, json.loads(line.removeprefix("data: "))
                answer.readline()
    finally:
        connection.close()


@pytest.fixture(scope="module")
def page() -> Iterator[WebServer]:
    """Serve the page of a job on this machine, without a token."""
    with served(build_figures(time.time()), build_running()) as server:
        yield server


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebServer]:
    """Serve the page of a job that wants a token."""
    file = tmp_path_factory.mktemp("token") / "token"
    file.touch(0o600)
    file.write_text(TOKEN)
    figures = build_figures(time.time())
    with served(figures, build_running(), console_token_file=file) as server:
        yield server


@pytest.mark.parametrize(
    ("path", "kind", "contains"),
    [
        ("/", "text/html; charset=utf-8", "<h1>"),
        ("/page/main.js", "text/javascript; charset=utf-8", "EventSource"),
        ("/page/style.css", "text/css; charset=utf-8", "prefers-color-scheme"),
        ("/page/icon.svg", "image/svg+xml", "<svg"),
        ("/page/uplot.js", "text/javascript; charset=utf-8", "export { uPlot as default }"),
        ("/page/uplot.css", "text/css; charset=utf-8", ".uplot"),
        ("/docs/on_call.md", "text/html; charset=utf-8", '<h2 id="scoringlaggrows">'),
        ("/docs/img/flow.svg", "image/svg+xml", "<svg"),
    ],
)
def test_the_page_has_all_that_it_needs(
    page: WebServer, path: str, kind: str, contains: str
) -> None:
    status, headers, text = ask(page, path)

    assert (status, headers["content-type"]) == (200, kind)
    assert contains in text
    assert "https://" not in text or path.startswith(("/docs", "/page/uplot"))
    assert headers["cache-control"] == "no-store"
    assert headers["x-content-type-options"] == "nosniff"
    policy = headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'")
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert "server" not in headers


@pytest.mark.parametrize(
    "path", ["/docs/../setup.cfg", "/docs/%2e%2e/setup.cfg", "/page/../setup.cfg", "/page/none.js"]
)
def test_no_other_file_is_served(page: WebServer, path: str) -> None:
    assert ask(page, path)[0] == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
@pytest.mark.parametrize("path", ["/", "/events", "/docs/on_call.md"])
def test_the_page_is_read_only(page: WebServer, method: str, path: str) -> None:
    assert ask(page, path, method)[0] == 405


def test_requests_for_another_host_or_from_another_origin_are_refused(page: WebServer) -> None:
    own = f"http://127.0.0.1:{page.address.port}"

    assert ask(page, "/", Host="rebound.example.net")[0] == 421
    assert ask(page, "/events", Host="rebound.example.net")[0] == 421
    assert ask(page, "/", Origin="http://example.net")[0] == 403
    assert ask(page, "/", Origin="null")[0] == 403
    assert ask(page, "/", Origin=own)[0] == 200


def test_events_begin_with_the_last_hour_and_follow_the_job() -> None:
    figures, job = build_figures(time.time()), build_running()
    with served(figures, job) as server:
        events = iter_events(server)
        name, begin = next(events)
        _, first = next(events)
        job.enter(State.STUCK, "no task ends")
        _, second = next(events)
        events.close()  # type: ignore[attr-defined]

    assert name == "begin"
    assert begin["facts"]["query"] == "scoring"
    assert begin["facts"]["shows_records"] is False
    assert len(begin["history"]["at_s"]) == len(begin["history"]["rate"]) >= 1
    assert first["records"] == 1_000
    assert first["state"]["state"] == "running"
    assert second["state"]["state"] == "stuck"
    assert second["findings"][0]["level"] == "act"
    assert 0 < second["at_s"] - first["at_s"] < 3


def test_a_second_is_computed_once_for_all_viewers(monkeypatch: pytest.MonkeyPatch) -> None:
    now_s, taken = 10.2, []

    def take(*_: object) -> dict[str, Any]:
        taken.append(now_s)
        return {"n": len(taken)}

    monkeypatch.setattr(time, "monotonic", lambda: now_s)
    monkeypatch.setattr(feed_module, "take_snapshot", take)
    feed = Feed(build_figures(0.0), build_running(), History(), FACTS)

    assert taken == []
    assert feed.write_now() is feed.write_now()
    now_s = 10.9
    feed.write_now()
    now_s = 11.0
    assert feed.write_now() == b'event: now\ndata: {"n":2}\n\n'


def test_no_contents_of_records_can_be_searched_unless_that_is_asked_for(page: WebServer) -> None:
    assert ask(page, "/search", "POST", '{"key": "1"}')[0] == 404


def test_a_search_without_a_key_asks_for_one() -> None:
    with served(build_figures(0.0), build_running(), console_shows_records=True) as server:
        for body in ("", "[]", '{"key": ""}', '{"key": 5}', "x" * 5_000):
            status, _, text = ask(server, "/search", "POST", body)
            assert (status, json.loads(text)["words"]) == (400, "Enter the key of a record.")
        assert ask(server, "/search", "POST", "{}", Origin="http://example.net")[0] == 403


def test_nothing_is_shown_without_the_token(closed: WebServer) -> None:
    status, headers, _ = ask(closed, "/")
    assert (status, headers["location"]) == (303, "/login")
    for path in ("/events", "/page/main.js", "/docs/on_call.md", "/search"):
        status, headers, text = ask(closed, path)
        assert (status, headers["www-authenticate"]) == (401, 'Bearer realm="page"')
        assert TOKEN not in text
    assert ask(closed, "/login")[0] == 200
    assert ask(closed, "/page/style.css")[0] == 200


def test_the_token_lets_in_by_header_form_or_address(closed: WebServer) -> None:
    assert ask(closed, "/page/main.js", Authorization=f"Bearer {TOKEN}")[0] == 200

    for path, method, body in (
        ("/login", "POST", f"token={TOKEN}"),
        (f"/?token={TOKEN}", "GET", None),
    ):
        status, headers, text = ask(closed, path, method, body)
        assert (status, headers["location"]) == (303, "/")
        cookie = headers["set-cookie"]
        assert TOKEN not in cookie + text
        assert "HttpOnly" in cookie
        assert "samesite=lax" in cookie.lower()
        assert ask(closed, "/", Cookie=cookie.partition(";")[0])[0] == 200


def test_a_wrong_token_is_told_and_does_not_let_in(closed: WebServer) -> None:
    status, headers, text = ask(closed, "/login", "POST", "token=wrong")

    assert status == 403
    assert "set-cookie" not in headers
    assert '<p id="wrong" role="alert">' in text
    assert '<p id="wrong" hidden' in ask(closed, "/login")[2]
    assert ask(closed, "/?token=wrong")[1]["location"] == "/login"
    assert ask(closed, "/login", "POST", "x" * 5_000)[0] == 403
    assert ask(closed, "/login", "POST", f"token={TOKEN}", Origin="http://example.net")[0] == 403


def test_the_settings_on_the_page_do_not_hold_the_token(
    closed: WebServer,
) -> None:
    _, begin = next(iter_events(closed, Authorization=f"Bearer {TOKEN}"))

    assert TOKEN not in json.dumps(begin)
    values = {row["flag"]: row["value"] for row in begin["facts"]["settings"]}
    assert Path(values["--console-token-file"]).name == "token"


def test_documents_are_rendered_without_markup_of_their_own() -> None:
    text = render_document("# A & B\n\n## What `it` does, now\n\n<script>x</script> [c](d.md#e)\n")

    assert "<title>A &amp; B</title>" in text
    assert '<h2 id="what-it-does-now">' in text
    assert "<script>x" not in text
    assert '<a href="d.md#e">c</a>' in text
