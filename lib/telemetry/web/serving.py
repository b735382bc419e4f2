"""Serves what the settings ask for, and imports the libraries for it only then."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from time import sleep

from lib.address import Address
from lib.errors import BrakeError, SinkFencedError
from lib.settings.command import START_LOGGER
from lib.settings.jobs.score_stream import ScoreStreamSettings
from lib.telemetry.monitor import Monitor
from lib.telemetry.state import State

logger = logging.getLogger(START_LOGGER)

# Prometheus scrapes every 15 s, as conf/monitoring/prometheus.yml says.
_LAST_SCRAPE_S = 20


@contextmanager
def serve(settings: ScoreStreamSettings, monitor: Monitor) -> Iterator[None]:
    """Serve metrics, health and the page within a block, as far as the settings ask for them.

    Reports of outcomes are followed meanwhile.

    A job that another one has replaced, or that the brake has stopped, serves its metrics a little
    longer: no supervisor starts it again, and the next scrape would find nothing.

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
        if settings.outcomes is not None:
            from lib.telemetry.outcomes import OutcomeWatch

            stack.enter_context(OutcomeWatch(settings.outcomes, monitor))
        try:
            yield
        except (SinkFencedError, BrakeError) as error:
            if settings.metrics and (monitor.figures.fenced or isinstance(error, BrakeError)):
                monitor.job.enter(State.STOPPING, error.message)
                logger.info("metrics stay for %d s, so that Prometheus sees why", _LAST_SCRAPE_S)
                sleep(_LAST_SCRAPE_S)
            raise
