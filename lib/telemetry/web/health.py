"""Serves ``/metrics``, ``/health/live`` and ``/health/ready``."""

from __future__ import annotations

from datetime import UTC, datetime

from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from lib.telemetry.figures import Figures
from lib.telemetry.metrics import write_metrics
from lib.telemetry.state import JobState, Status

_OK, _UNAVAILABLE = 200, 503


def list_routes(figures: Figures, job: JobState) -> list[Route]:
    """Return the routes for Prometheus and for probes.

    ``/health/live`` answers 503 if the process has to be ended from outside, and ``/health/ready``
    if it scores nothing now. Both say why as JSON.
    """

    def serve_metrics(_: Request) -> Response:
        return Response(write_metrics(figures, job), media_type=CONTENT_TYPE_PLAIN_0_0_4)

    def serve_live(_: Request) -> Response:
        status = job.status
        return JSONResponse(describe(status), _OK if status.is_live else _UNAVAILABLE)

    def serve_ready(_: Request) -> Response:
        status = job.status
        return JSONResponse(describe(status), _OK if status.is_ready else _UNAVAILABLE)

    return [
        Route("/metrics", serve_metrics),
        Route("/health/live", serve_live),
        Route("/health/ready", serve_ready),
    ]


def describe(status: Status) -> dict[str, str | bool]:
    """Describe the state as JSON types."""
    since = datetime.fromtimestamp(status.since_s, UTC).isoformat(timespec="seconds")
    return {
        "state": str(status.state),
        "reason": status.reason,
        "since": since.replace("+00:00", "Z"),
        "ready": status.is_ready,
        "live": status.is_live,
    }
