"""Lets viewers of the page search for the answer to a record."""

from __future__ import annotations

import json

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from lib.telemetry.page.search import RecordSearch
from lib.telemetry.web.body import read_body

_MOST_BYTES = 4_096


def list_search_routes(search: RecordSearch) -> list[Route]:
    """Return the route of the search."""

    async def find(request: Request) -> Response:
        body = await read_body(request, _MOST_BYTES)
        try:
            key = json.loads(body or b"")["key"]
        except (ValueError, KeyError, TypeError):
            key = None
        if not isinstance(key, str) or not key:
            return JSONResponse({"words": "Enter the key of a record."}, 400)
        return JSONResponse(await run_in_threadpool(search.find, key))

    return [Route("/search", find, methods=["POST"])]
