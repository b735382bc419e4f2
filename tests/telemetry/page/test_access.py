"""The page answers its own viewers: known hosts, its own origin, and the right token."""

from __future__ import annotations

from pathlib import Path

import pytest

from lib.address import Address
from lib.errors import SettingsError
from lib.telemetry.web.access import Access, read_token

LOOPBACK = Access(Address("127.0.0.1", 8080))
OPEN = Access(Address("0.0.0.0", 8080), "a-token-that-is-long", ("scoring.example.org",))  # noqa: S104


@pytest.mark.parametrize(
    ("access", "host", "is_known"),
    [
        (LOOPBACK, "127.0.0.1:8080", True),
        (LOOPBACK, "localhost:8080", True),
        (LOOPBACK, "LOCALHOST", True),
        (LOOPBACK, "[::1]:8080", True),
        # The port of a tunnel.
        (LOOPBACK, "localhost:9999", True),
        (LOOPBACK, "192.0.2.7:8080", False),
        (LOOPBACK, "rebound.example.net:8080", False),
        (LOOPBACK, "localhost.example.net", False),
        (LOOPBACK, "127.0.0.1.example.net", False),
        (LOOPBACK, "", False),
        (LOOPBACK, "localhost:8080, evil", False),
        (OPEN, "192.0.2.7:8080", True),
        (OPEN, "scoring.example.org", True),
        (OPEN, "localhost:8080", True),
        (OPEN, "rebound.example.net:8080", False),
    ],
)
def test_only_hosts_that_lead_here_are_answered(access: Access, host: str, is_known: bool) -> None:
    assert access.is_known_host(host) is is_known


@pytest.mark.parametrize(
    ("origin", "is_own"),
    [
        ("http://localhost:8080", True),
        ("https://localhost:8080", True),
        ("http://localhost:8081", False),
        ("http://example.net", False),
        ("null", False),
    ],
)
def test_only_the_own_origin_may_ask(origin: str, is_own: bool) -> None:
    assert LOOPBACK.is_own_origin(origin, "localhost:8080") is is_own


def test_the_token_or_the_cookie_lets_in() -> None:
    cookie = f"{OPEN.cookie_name}={OPEN.ticket}"

    assert OPEN.may_see({"authorization": "Bearer a-token-that-is-long"})
    assert OPEN.may_see({"authorization": "bearer a-token-that-is-long"})
    assert OPEN.may_see({"cookie": f"other=1; {cookie}"})
    assert not OPEN.may_see({"authorization": "Bearer a-token-that-is-wrong"})
    assert not OPEN.may_see({"authorization": "Basic a-token-that-is-long"})
    assert not OPEN.may_see({"cookie": f"{OPEN.cookie_name}=a-token-that-is-long"})
    assert not OPEN.may_see({"cookie": f"other={OPEN.ticket}"})
    assert not OPEN.may_see({"cookie": "\x00=;;"})
    assert not OPEN.may_see({})
    assert "a-token-that-is-long" not in OPEN.ticket
    assert LOOPBACK.may_see({})


def test_no_token_is_right_where_there_is_none() -> None:
    assert not LOOPBACK.knows("")


def write(path: Path, text: str, mode: int = 0o600) -> Path:
    path.write_text(text)
    path.chmod(mode)
    return path


def test_a_token_is_read_without_the_end_of_its_line(tmp_path: Path) -> None:
    assert read_token(write(tmp_path / "token", "0123456789abcdef\n")) == "0123456789abcdef"


@pytest.mark.parametrize("text", ["", "short", "0123456789abcde\n", "0123456789 abcdefg", "ü" * 20])
def test_what_is_no_token_is_refused_without_being_shown(tmp_path: Path, text: str) -> None:
    with pytest.raises(SettingsError, match=r"expected one line of at least 16") as caught:
        read_token(write(tmp_path / "token", text))

    assert not text.strip() or text.strip() not in str(caught.value)


def test_a_token_that_others_can_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"mode is 0644.*chmod 600"):
        read_token(write(tmp_path / "token", "0123456789abcdef", 0o644))


def test_a_token_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"--console-token-file .*: no such file.*openssl"):
        read_token(tmp_path / "token")
