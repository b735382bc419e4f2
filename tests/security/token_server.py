"""A server of OAuth tokens, as an identity provider runs it: client credentials over HTTPS."""

from __future__ import annotations

import base64
import json
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, Self
from urllib.parse import parse_qs

import trustme
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from lib.setup.machine import LOOPBACK

AUDIENCE = "kafka"
#: Tokens of this scope are for another audience.
OF_ANOTHER_AUDIENCE = "others"
LIFETIME_S = 600


@dataclass(frozen=True)
class TokenServer:
    """A running server.

    Attributes:
        url: URL of the token endpoint.
        key_set: the file with the public key (JWKS), by which brokers check tokens.
        client_id: the client that gets tokens, which name it as subject.
        client_secret: the client's password.
        scopes: the scopes of all tokens that were given out.
    """

    url: str
    key_set: Path
    client_id: str
    client_secret: str
    scopes: list[str] = field(default_factory=list)

    @classmethod
    @contextmanager
    def start(
        cls, authority: trustme.CA, folder: Path, client_id: str, client_secret: str
    ) -> Iterator[Self]:
        """Run a server whose certificate the authority signs, with its key set in ``folder``."""
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        key_set = folder / "keys.json"
        key_set.write_text(json.dumps({"keys": [describe_key(key.public_key())]}))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(LOOPBACK).configure_cert(context)
        http = ThreadingHTTPServer((LOOPBACK, 0), _Handler)
        http.socket = context.wrap_socket(http.socket, server_side=True)
        url = f"https://{LOOPBACK}:{http.server_address[1]}/token"
        server = cls(url, key_set, client_id, client_secret)
        http.issue = lambda scope: server.issue(key, scope)  # type: ignore[attr-defined]
        http.credentials = f"{client_id}:{client_secret}"  # type: ignore[attr-defined]
        thread = Thread(target=http.serve_forever, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            http.shutdown()
            http.server_close()
            thread.join()

    def issue(self, key: rsa.RSAPrivateKey, scope: str) -> str:
        """Sign a token for the client."""
        self.scopes.append(scope)
        now = int(time.time())
        times = {"iat": now, "exp": now + LIFETIME_S}
        audience = "others" if scope == OF_ANOTHER_AUDIENCE else AUDIENCE
        claims = {"sub": self.client_id, "aud": audience, "scope": scope, **times}
        head = encode(json.dumps({"alg": "RS256", "kid": "one"}).encode())
        signed = f"{head}.{encode(json.dumps(claims).encode())}"
        signature = key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256())
        return f"{signed}.{encode(signature)}"


class _Handler(BaseHTTPRequestHandler):
    server: Any

    def do_POST(self) -> None:
        form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        kind, _, given = self.headers.get("Authorization", "").partition(" ")
        is_known = base64.b64decode(given or b"").decode() == self.server.credentials
        if kind == "Basic" and is_known and form["grant_type"] == ["client_credentials"]:
            token = self.server.issue(form.get("scope", [""])[0])
            status = HTTPStatus.OK
            answer = {"access_token": token, "token_type": "Bearer", "expires_in": LIFETIME_S}
        else:
            status, answer = HTTPStatus.UNAUTHORIZED, {"error": "invalid_client"}
        body = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        """Print nothing."""


def describe_key(key: rsa.RSAPublicKey) -> dict[str, str]:
    """Describe a public key as a JSON Web Key."""
    numbers = key.public_numbers()
    parts = {name: getattr(numbers, name) for name in ("n", "e")}
    texts = {
        name: encode(part.to_bytes(-(-part.bit_length() // 8), "big"))
        for name, part in parts.items()
    }
    return {"kty": "RSA", "kid": "one", "use": "sig", "alg": "RS256", **texts}


def encode(data: bytes) -> str:
    """Encode to base64 for URLs, without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
