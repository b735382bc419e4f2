"""Reads from a server of MLflow by its REST interface, with the environment of MLflow's own client.

Interface: https://mlflow.org/docs/latest/api_reference/rest-api.html. The user's name, the password
and the token stand in no message and no log, and go to no other host: neither does urllib send them
when it follows a redirect.
"""

from __future__ import annotations

import json
import ssl
from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from shutil import copyfileobj
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import quote, unquote, urlencode, urlsplit
from urllib.request import HTTPSHandler, Request, build_opener

from lib.errors import ModelError, ModelNotFoundError, SettingsError

#: The variables that name the server; the first that is set counts, as for MLflow's own client.
URI_VARIABLES = ("MLFLOW_REGISTRY_URI", "MLFLOW_TRACKING_URI")
# The limit of MLflow's own client for one request.
_TIMEOUT_S = 120.0
# No answer about a model or a folder is longer.
_MAX_ANSWER_BYTES = 16 * 1024 * 1024
_LOGIN_REFUSED = (401, 403)


@dataclass(frozen=True)
class MlflowServer:
    """A server of MLflow.

    Attributes:
        url: ``http://host:port`` or ``https://…``, with a path if the server has one.
        authorization: the header that says who asks; None for nobody.
        timeout_s: the time limit of a request.
        certificates: the file with the certificates of the server's authority; None for those of
            the machine.
        own_certificate: the file with this client's certificate and key, if the server wants one.
    """

    url: str
    authorization: str | None = field(default=None, repr=False)
    timeout_s: float = _TIMEOUT_S
    certificates: str | None = None
    own_certificate: str | None = None

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> MlflowServer:
        """Find the server that the variables of MLflow name.

        Raises:
            SettingsError: no variable names a server, or what it names is none.
        """
        name = next((it for it in URI_VARIABLES if environ.get(it)), None)
        if name is None:
            raise SettingsError(
                f"found no {URI_VARIABLES[1]} in the environment, expected the address of the"
                " server of MLflow",
                hint=f"set {URI_VARIABLES[1]}=http://HOST:PORT",
            )
        try:
            parts = urlsplit(environ[name])
            host, port = parts.hostname, parts.port
            timeout_s = float(environ.get("MLFLOW_HTTP_REQUEST_TIMEOUT") or _TIMEOUT_S)
        except ValueError as error:
            raise SettingsError(f"{name} or MLFLOW_HTTP_REQUEST_TIMEOUT: {error}") from error
        if parts.scheme not in ("http", "https") or not host:
            raise SettingsError(
                f"{name}: found {parts.scheme or 'no scheme'}, expected http://HOST:PORT or"
                " https://HOST",
                hint="start `mlflow server` for a registry in files or in a database; a model's"
                " folder can be added as it is",
            )
        shown = f"[{host}]" if ":" in host else host
        return cls(
            f"{parts.scheme}://{shown}{f':{port}' if port else ''}{parts.path.rstrip('/')}",
            _authorize(environ, unquote(parts.username or ""), unquote(parts.password or "")),
            timeout_s,
            environ.get("MLFLOW_TRACKING_SERVER_CERT_PATH") or None,
            environ.get("MLFLOW_TRACKING_CLIENT_CERT_PATH") or None,
        )

    def ask(self, endpoint: str, **values: str) -> dict[str, Any]:
        """Get the JSON object that an endpoint answers.

        Args:
            endpoint: the path behind ``/api/2.0/``.
            values: the values of the query.

        Raises:
            SettingsError: the server refuses the login.
            ModelNotFoundError: the server does not know what the query names.
            ModelError: the server is not reached, or answers something else.
        """
        with self._get(f"{endpoint}?{urlencode(values)}") as answer:
            content = answer.read(_MAX_ANSWER_BYTES)
        try:
            found = json.loads(content)
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise ModelError(
                f"{self.url}: {endpoint} answered no JSON object",
                hint=f"check {URI_VARIABLES[1]}: it names the server itself, without /api",
            )
        return found

    def save(self, endpoint: str, path: Path) -> None:
        """Write the content of an endpoint into a new file; errors as in :meth:`ask`."""
        with self._get(quote(endpoint)) as answer, path.open("xb") as file:
            copyfileobj(answer, file)

    @contextmanager
    def _get(self, target: str) -> Iterator[HTTPResponse]:
        # The URL's scheme is http or https, as it was checked.
        request = Request(f"{self.url}/api/2.0/{target}")  # noqa: S310
        if self.authorization is not None:
            request.add_unredirected_header("Authorization", self.authorization)
        opener = build_opener(HTTPSHandler(context=self._trust()))
        try:
            with opener.open(request, timeout=self.timeout_s) as answer:
                yield answer
        except HTTPError as error:
            with error:
                raise self._explain(error.code, error.read(_MAX_ANSWER_BYTES)) from error
        except (URLError, HTTPException, TimeoutError, ConnectionError) as error:
            reason = error.reason if isinstance(error, URLError) else error
            raise ModelError(
                f"{self.url}: the server of MLflow was not reached: {reason}",
                hint=f"check {URI_VARIABLES[1]}, and whether the server runs",
            ) from error

    def _trust(self) -> ssl.SSLContext:
        try:
            context = ssl.create_default_context(cafile=self.certificates)
            if self.own_certificate is not None:
                context.load_cert_chain(self.own_certificate)
        except (OSError, ssl.SSLError) as error:
            raise SettingsError(
                f"MLFLOW_TRACKING_SERVER_CERT_PATH or MLFLOW_TRACKING_CLIENT_CERT_PATH: {error}"
            ) from error
        return context

    def _explain(self, status: int, content: bytes) -> ModelError | SettingsError:
        if status in _LOGIN_REFUSED:
            return SettingsError(
                f"{self.url}: the server of MLflow refuses the login (HTTP {status})",
                hint="set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or"
                " MLFLOW_TRACKING_TOKEN, of a user who may read the model",
            )
        try:
            told = json.loads(content)
            code, message = str(told["error_code"]), str(told["message"])
        except (ValueError, KeyError, TypeError):
            code, message = "", "no explanation of MLflow's"
        # MLflow reports an alias that does not exist as an invalid parameter.
        if code == "RESOURCE_DOES_NOT_EXIST" or "not found" in message:
            return ModelNotFoundError(
                f"{self.url}: {message}", hint="check the name, and the alias or version"
            )
        return ModelError(
            f"{self.url}: the server of MLflow answered HTTP {status}: {message}",
            hint=f"check {URI_VARIABLES[1]}, and the log of that server",
        )


def _authorize(environ: Mapping[str, str], user: str, password: str) -> str | None:
    """Build the header as MLflow's client does: a name counts before a token."""
    user = environ.get("MLFLOW_TRACKING_USERNAME") or user
    if user:
        password = environ.get("MLFLOW_TRACKING_PASSWORD") or password
        return f"Basic {b64encode(f'{user}:{password}'.encode()).decode()}"
    token = environ.get("MLFLOW_TRACKING_TOKEN")
    return f"Bearer {token}" if token else None
