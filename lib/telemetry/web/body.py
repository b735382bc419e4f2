"""Reads the bodies of requests, which may be of any length."""

from __future__ import annotations

from starlette.requests import Request


async def read_body(request: Request, most_bytes: int) -> bytes | None:
    """Read the body of a request; None if it is longer than expected."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > most_bytes:
            return None
    return body
