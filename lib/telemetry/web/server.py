"""Listens on an address and serves routes there, on a thread of its own."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Sequence

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import BaseRoute

from lib.address import Address
from lib.background import Background
from lib.errors import SettingsError

# Connections that are still open at the end, such as streams of events, are closed after this time.
_CLOSING_S = 1


class WebServer(Background):
    """Serves routes for as long as a ``with`` block lasts.

    It listens from the moment it is made, so that an address that is taken ends the job at once.

    Args:
        setting: the flag that asked for it, for messages.
        address: the address to listen on.
        routes: the routes to serve.
        middleware: the checks that each request passes first.

    Attributes:
        address: the address in use, with the port that was chosen.

    Raises:
        SettingsError: the address cannot be used.
    """

    def __init__(
        self,
        setting: str,
        address: Address,
        routes: Sequence[BaseRoute],
        middleware: Sequence[Middleware] = (),
    ) -> None:
        self._socket = _listen(setting, address)
        self.address = Address(address.host, int(self._socket.getsockname()[1]))
        super().__init__(f"web {self.address}", patience_s=_CLOSING_S + 1)
        config = uvicorn.Config(
            Starlette(routes=list(routes), middleware=list(middleware)),
            log_config=None,
            log_level="critical",
            access_log=False,
            lifespan="off",
            server_header=False,
            timeout_graceful_shutdown=_CLOSING_S,
        )
        self._server = uvicorn.Server(config)

    def stop(self) -> None:
        """Close all connections and the port."""
        self._server.should_exit = True
        super().stop()
        self._socket.close()

    def _run(self) -> None:
        self._server.run([self._socket])


def _listen(setting: str, address: Address) -> socket.socket:
    try:
        family = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((address.host, address.port), family=family)
    except OSError as error:
        # A name that cannot be looked up has an error number of another kind.
        is_lookup = isinstance(error, socket.gaierror)
        reason = error.strerror if is_lookup else os.strerror(error.errno or 0)
        hint = "name an address of this machine"
        if error.errno == errno.EADDRINUSE:
            hint = "another program listens there: end it, or name another port"
        elif error.errno == errno.EACCES:
            hint = "only an administrator may use this port: name one above 1023"
        raise SettingsError(f"{setting} {address}: {reason}", hint=hint) from error
