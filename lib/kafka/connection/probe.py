"""Looks at a listener where the client does not say what is wrong with it."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Mapping
from pathlib import Path

_CONNECT_TIMEOUT_S = 1.0
# A busy broker takes its time for a handshake.
_HANDSHAKE_TIMEOUT_S = 3.0


def find_connection_fault(host: str, port: int) -> str | None:
    """Try to connect; return the reason in the system's words if that fails, else None."""
    try:
        with socket.create_connection((host, port), _CONNECT_TIMEOUT_S):
            return None
    except TimeoutError:
        return f"no answer within {_CONNECT_TIMEOUT_S:g} s"
    except OSError as error:
        return error.strerror or str(error)


def speaks_tls(host: str, port: int) -> bool:
    """Tell whether a listener answers a TLS handshake, whatever its certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        _shake_hands(context, host, port)
    except (OSError, ValueError):
        return False
    return True


def find_certificate_fault(host: str, port: int, options: Mapping[str, str]) -> str | None:
    """Find why the certificate of a listener is not accepted; None if that does not show.

    Args:
        host: the name that the certificate has to hold.
        port: the listener's port.
        options: the options of librdkafka's clients, which name the authorities.
    """
    location = options.get("ssl.ca.location")
    is_folder = location is not None and Path(location).is_dir()
    try:
        context = ssl.create_default_context(
            cafile=None if is_folder else location,
            capath=location if is_folder else None,
            cadata=options.get("ssl.ca.pem"),
        )
        _shake_hands(context, host, port)
    except ssl.SSLCertVerificationError as error:
        return error.verify_message.rstrip(".")
    except (OSError, ValueError):
        return None
    return None


def _shake_hands(context: ssl.SSLContext, host: str, port: int) -> None:
    with (
        socket.create_connection((host, port), _HANDSHAKE_TIMEOUT_S) as connection,
        context.wrap_socket(connection, server_hostname=host),
    ):
        pass
