"""An address is read as it is written in a setting."""

from __future__ import annotations

import re

import pytest

from lib.address import Address


@pytest.mark.parametrize(
    ("text", "host", "port", "is_loopback"),
    [
        ("127.0.0.1:9464", "127.0.0.1", 9464, True),
        ("127.8.9.1:0", "127.8.9.1", 0, True),
        ("localhost:8080", "localhost", 8080, True),
        ("[::1]:9464", "::1", 9464, True),
        ("0.0.0.0:9464", "0.0.0.0", 9464, False),  # noqa: S104
        ("[::]:65535", "::", 65535, False),
        ("scoring.example:80", "scoring.example", 80, False),
    ],
)
def test_an_address_is_read(text: str, host: str, port: int, is_loopback: bool) -> None:
    address = Address.parse(text)

    assert (address.host, address.port, address.is_loopback) == (host, port, is_loopback)
    assert str(address) == text


@pytest.mark.parametrize(
    "text", ["", "9464", ":9464", "127.0.0.1", "127.0.0.1:65536", "::1:9464", "http://a:1", "a b:1"]
)
def test_another_form_is_refused(text: str) -> None:
    expected = f"found {text!r}, expected HOST:PORT, like 127.0.0.1:9464 or [::1]:9464"
    with pytest.raises(ValueError, match=re.escape(expected)):
        Address.parse(text)
