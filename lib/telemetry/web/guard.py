"""Looks at each request before the page sees it, and at each answer before it leaves."""

from __future__ import annotations

from urllib.parse import parse_qs

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lib.telemetry.web.access import Access
from lib.telemetry.web.body import read_body
from lib.telemetry.web.files import read_own_file

LOGIN = "/login"
# The form needs these before anybody has signed in.
_PUBLIC = frozenset({LOGIN, "/page/icon.svg", "/page/style.css", "/page/theme.js"})
_COOKIE_S = 12 * 3_600
_MOST_FORM_BYTES = 4_096
# The form's sentence about a wrong token, before and after one.
_WRONG_HIDDEN, _WRONG = b'id="wrong" hidden', b'id="wrong"'
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self';"
    " form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    # Not "no-referrer", with which browsers hide the origin of the form.
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class Guard:
    """Refuses requests for another host, from another origin or without the token.

    Args:
        app: the application that answers the requests.
        access: the rules for viewers.
    """

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app = app
        self._access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(_HEADERS)
            await send(message)

        refusal = self._refuse(scope)
        await (self._app if refusal is None else refusal)(scope, receive, send_with_headers)

    def _refuse(self, scope: Scope) -> Response | None:
        headers, path, access = Headers(scope=scope), scope["path"], self._access
        host, origin = headers.get("host", ""), headers.get("origin")
        if not access.is_known_host(host):
            return PlainTextResponse(
                "The page does not know the host name of this request. Name it with"
                " --console-names, or use the address of the machine.\n",
                421,
            )
        if origin is not None and not access.is_own_origin(origin, host):
            return PlainTextResponse("Another site sent this request.\n", 403)
        if path in _PUBLIC or access.may_see(headers):
            return None
        if path == "/":
            query = parse_qs(scope["query_string"].decode("latin-1"))
            token = query.get("token", [""])[0]
            return _let_in(access, scope) if access.knows(token) else RedirectResponse(LOGIN, 303)
        return PlainTextResponse(
            "The page needs its token.\n", 401, {"WWW-Authenticate": 'Bearer realm="page"'}
        )


def list_login_routes(access: Access) -> list[Route]:
    """Return the routes that exchange the token for a cookie."""
    form = read_own_file("login.html")

    async def show(_: Request) -> Response:
        return HTMLResponse(form)

    async def sign_in(request: Request) -> Response:
        body = await read_body(request, _MOST_FORM_BYTES)
        token = parse_qs((body or b"").decode("latin-1")).get("token", [""])[0].strip()
        if access.token is None or access.knows(token):
            return _let_in(access, request.scope)
        return HTMLResponse(form.replace(_WRONG_HIDDEN, _WRONG), 403)

    return [Route(LOGIN, show), Route(LOGIN, sign_in, methods=["POST"])]


def _let_in(access: Access, scope: Scope) -> Response:
    """Lead to the page, without the token in the address, and with a cookie that replaces it."""
    response = RedirectResponse("/", 303)
    response.set_cookie(
        access.cookie_name,
        access.ticket,
        max_age=_COOKIE_S,
        httponly=True,
        secure=scope["scheme"] == "https",
        samesite="lax",
    )
    return response
