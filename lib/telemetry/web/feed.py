"""Sends what the page shows to all viewers, as server-sent events."""

from __future__ import annotations

import asyncio
import json
import math
import time
from collections.abc import AsyncIterator
from typing import Any

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from lib.telemetry.figures import Figures
from lib.telemetry.page.history import History
from lib.telemetry.page.snapshot import Facts, take_snapshot
from lib.telemetry.state import JobState

# A viewer gets an event so often, and a browser that has lost its connection tries again so often.
_INTERVAL_S = 1.0
_RETRY_MS = 2_000


class Feed:
    """The events for all viewers. Without a viewer nothing is computed.

    Args:
        figures: the figures of the process.
        job: the state and the events.
        history: the points of the last hour.
        facts: the facts that do not change.
    """

    def __init__(self, figures: Figures, job: JobState, history: History, facts: Facts) -> None:
        self._figures = figures
        self._job = job
        self._history = history
        self._facts = facts
        self._newest = b""
        self._made_s = -math.inf

    def write_begin(self) -> bytes:
        """Write the event that a viewer gets first: the facts and the last hour."""
        begin = {
            "facts": self._facts.to_json(),
            "interval_s": self._history.interval_s,
            "history": self._history.list_columns(),
        }
        return f"retry: {_RETRY_MS}\n".encode() + _write_event("begin", begin)

    def write_now(self) -> bytes:
        """Write the event of this second, which is computed for the first viewer that asks."""
        second = math.floor(time.monotonic() / _INTERVAL_S)
        if second != self._made_s:
            now = take_snapshot(self._figures, self._job, self._history, time.time())
            self._newest, self._made_s = _write_event("now", now), second
        return self._newest

    async def iter_events(self) -> AsyncIterator[bytes]:
        """Yield the events of one viewer, without end."""
        yield self.write_begin()
        while True:
            yield self.write_now()
            # All viewers wake at the same time, so that they share what is computed.
            await asyncio.sleep(_INTERVAL_S - time.monotonic() % _INTERVAL_S)


def list_feed_routes(feed: Feed) -> list[Route]:
    """Return the route of the events."""

    async def serve_events(_: Request) -> Response:
        return StreamingResponse(feed.iter_events(), media_type="text/event-stream")

    return [Route("/events", serve_events)]


def _write_event(name: str, value: dict[str, Any]) -> bytes:
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    return f"event: {name}\ndata: {text}\n\n".encode()
