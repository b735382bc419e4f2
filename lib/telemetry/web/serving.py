"""Serves what the settings ask for, and imports the libraries for it only then."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from lib.address import Address
from lib.settings.command import START_LOGGER
from lib.telemetry.monitor import Monitor

logger = logging.getLogger(START_LOGGER)


@contextmanager
def serve(metrics: str, monitor: Monitor) -> Iterator[None]:
    """Serve metrics and health within a block.

    Args:
        metrics: the address in the form of :class:`lib.address.Address`; empty for none.
        monitor: the state and the figures.

    Raises:
        SettingsError: the address cannot be used.
    """
    if not metrics:
        yield
        return
    from lib.telemetry.web.health import list_routes
    from lib.telemetry.web.server import WebServer

    routes = list_routes(monitor.figures, monitor.job)
    with WebServer("--metrics", Address.parse(metrics), routes) as server:
        logger.info("metrics http://%s/metrics", server.address)
        yield
