"""Serves what the settings ask for, and imports the libraries for it only then."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from lib.address import Address
from lib.settings.command import START_LOGGER
from lib.settings.jobs.score_stream import ScoreStreamSettings
from lib.telemetry.monitor import Monitor

logger = logging.getLogger(START_LOGGER)


@contextmanager
def serve(settings: ScoreStreamSettings, monitor: Monitor) -> Iterator[None]:
    """Serve metrics, health and the page within a block, as far as the settings ask for them.

    Args:
        settings: the settings of the job.
        monitor: the state and the figures.

    Raises:
        SettingsError: an address or the page's token cannot be used.
        SetupError: the library of the page's charts has not been fetched.
    """
    with ExitStack() as stack:
        if settings.metrics:
            from lib.telemetry.web.health import list_routes
            from lib.telemetry.web.server import WebServer

            routes = list_routes(monitor.figures, monitor.job)
            address = Address.parse(settings.metrics)
            server = stack.enter_context(WebServer("--metrics", address, routes))
            logger.info("metrics http://%s/metrics", server.address)
        if settings.console:
            from lib.telemetry.web.page import serve_page

            server = stack.enter_context(serve_page(settings, monitor.figures, monitor.job))
            logger.info("page http://%s/", server.address)
        yield
