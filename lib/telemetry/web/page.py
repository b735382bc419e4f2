"""Serves the page of a job, if it is asked for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from starlette.middleware import Middleware

from lib.address import Address
from lib.settings.jobs.score_stream import ScoreStreamSettings
from lib.telemetry.figures import Figures
from lib.telemetry.page.history import History, Sampler
from lib.telemetry.page.search import RecordSearch, Topic
from lib.telemetry.page.setting_rows import list_settings
from lib.telemetry.page.snapshot import Facts
from lib.telemetry.state import JobState
from lib.telemetry.web.access import Access, read_token
from lib.telemetry.web.documents import has_documents, list_document_routes
from lib.telemetry.web.feed import Feed, list_feed_routes
from lib.telemetry.web.files import list_file_routes
from lib.telemetry.web.guard import Guard, list_login_routes
from lib.telemetry.web.search import list_search_routes
from lib.telemetry.web.server import WebServer


@contextmanager
def serve_page(
    settings: ScoreStreamSettings,
    figures: Figures,
    job: JobState,
    history: History | None = None,
) -> Iterator[WebServer]:
    """Serve the page at the address that ``--console`` names, and keep its history meanwhile.

    Args:
        settings: the settings of the job.
        figures: the figures of the process, which the metrics show too.
        job: the state and the events.
        history: the points of the time before; None for none.

    Raises:
        SettingsError: the address or the token's file cannot be used.
        SetupError: the library of the charts has not been fetched.
    """
    token_file = settings.console_token_file
    token = None if token_file is None else read_token(token_file)
    history = history or History()
    feed = Feed(figures, job, history, describe_job(settings))
    access = Access(Address.parse(settings.console), token, settings.console_names)
    routes = [
        *list_file_routes(),
        *list_feed_routes(feed),
        *list_document_routes(),
        *list_login_routes(access),
    ]
    if settings.console_shows_records:
        topics = (
            Topic(settings.output_topic, "prediction"),
            Topic(settings.dead_letter_topic, "dead letter"),
        )
        routes += list_search_routes(RecordSearch(settings.cluster, topics))
    guard = Middleware(Guard, access)
    with (
        WebServer("--console", access.address, routes, [guard]) as server,
        Sampler(figures, history),
    ):
        yield server


def describe_job(settings: ScoreStreamSettings) -> Facts:
    """Describe what does not change while the job runs."""
    return Facts(
        query=settings.query_name,
        topics={
            "input": settings.input_topic,
            "predictions": settings.output_topic,
            "dead_letters": settings.dead_letter_topic,
        },
        settings=list_settings(settings),
        shows_records=settings.console_shows_records,
        has_documents=has_documents(),
    )
