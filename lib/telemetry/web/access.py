"""Decides which requests the page answers: by host, origin and token."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import re
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from http.cookies import CookieError, SimpleCookie
from pathlib import Path

from lib.address import Address
from lib.errors import SettingsError
from lib.kafka.secrets import refuse_if_readable

_SHORTEST_TOKEN = 16
_TOKEN = re.compile(r"[\x21-\x7e]+")
_HOST = re.compile(r"(?P<name>\[[^\]]+\]|[^:]+)(:\d+)?")


@dataclass(frozen=True)
class Access:
    """The rules for viewers of the page.

    Attributes:
        address: the address of the page.
        token: the secret that viewers have to know; None for none, on this machine only.
        names: the names by which browsers may call the machine, beside its own.
    """

    address: Address
    token: str | None = None
    names: Sequence[str] = ()

    def is_known_host(self, host: str) -> bool:
        """Tell whether a request is meant for this page.

        A foreign site can let a name of its own lead to this machine (DNS rebinding), and would
        then be of the same origin as the page. It cannot do that with a number.

        Args:
            host: the header ``Host``.
        """
        found = _HOST.fullmatch(host)
        if found is None:
            return False
        name = found["name"].strip("[]").lower()
        try:
            number = ipaddress.ip_address(name)
        except ValueError:
            return name in self._own_names
        return number.is_loopback or not self.address.is_loopback

    def is_own_origin(self, origin: str, host: str) -> bool:
        """Tell whether a page of this server sent a request, by its ``Origin`` and ``Host``."""
        return origin.lower() in (f"http://{host}".lower(), f"https://{host}".lower())

    def knows(self, token: str) -> bool:
        """Tell in constant time whether a token is right."""
        return self.token is not None and hmac.compare_digest(_hash(token), _hash(self.token))

    def may_see(self, headers: Mapping[str, str]) -> bool:
        """Tell whether a request comes from somebody who knows the token."""
        if self.token is None:
            return True
        scheme, _, token = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            return self.knows(token.strip())
        try:
            cookie = SimpleCookie(headers.get("cookie", "")).get(self.cookie_name)
        except CookieError:
            return False
        return cookie is not None and hmac.compare_digest(_hash(cookie.value), _hash(self.ticket))

    @property
    def cookie_name(self) -> str:
        """The name of the cookie; browsers give cookies to all ports of a host."""
        return f"scoring-page-{self.address.port}"

    @cached_property
    def ticket(self) -> str:
        """The contents of the cookie: proof that its owner has known the token, not the token."""
        return hmac.new((self.token or "").encode(), b"page", hashlib.sha256).hexdigest()

    @cached_property
    def _own_names(self) -> frozenset[str]:
        names = {"localhost", *self.names}
        if not self.address.is_loopback:
            names |= {self.address.host, socket.gethostname()}
        return frozenset(name.lower() for name in names)


def read_token(path: Path) -> str:
    """Read the token of the page from a file that others cannot read.

    Raises:
        SettingsError: there is no such file, others can read it, or it holds no token. The error
            shows nothing of its contents.
    """
    place = f"--console-token-file {path}"
    hint = f"make one: openssl rand -hex 24 > {path}; chmod 600 {path}"
    try:
        refuse_if_readable(path, place)
        token = path.read_text(encoding="ascii").strip()
    except FileNotFoundError as error:
        raise SettingsError(f"{place}: no such file", hint=hint) from error
    except OSError as error:
        raise SettingsError(f"{place}: {error.strerror}") from error
    except UnicodeDecodeError:
        token = ""
    if len(token) < _SHORTEST_TOKEN or _TOKEN.fullmatch(token) is None:
        raise SettingsError(
            f"{place}: expected one line of at least {_SHORTEST_TOKEN} letters and digits without"
            " spaces",
            hint=hint,
        )
    return token


def _hash(text: str) -> bytes:
    """Make texts equally long, so that the time of a comparison does not tell their length."""
    return hashlib.sha256(text.encode()).digest()
