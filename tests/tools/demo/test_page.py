"""The demonstration finds a free port for its job's page, and a browser gets there."""

from __future__ import annotations

import io
import socket
import webbrowser

import pytest

from lib.address import Address
from lib.tools.demo.output import Output
from lib.tools.demo.page import PageOpener, choose_address


def test_a_port_that_is_taken_is_replaced_by_a_free_one() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = int(other.getsockname()[1])
        found = choose_address(f"127.0.0.1:{taken}")
    again = choose_address(f"127.0.0.1:{taken}")

    assert found.host == "127.0.0.1"
    assert found.port not in (0, taken)
    assert again == Address("127.0.0.1", taken)


@pytest.mark.parametrize("has_browser", [True, False])
def test_the_browser_is_opened_once_the_page_is_there(
    monkeypatch: pytest.MonkeyPatch, has_browser: bool
) -> None:
    opened, text = list[str](), io.StringIO()

    def note(url: str) -> bool:
        opened.append(url)
        return has_browser

    monkeypatch.setattr(webbrowser, "open", note)
    address = choose_address("127.0.0.1:0")
    with PageOpener(address, Output(text)) as opener:
        assert not opener.wait_for(lambda: bool(opened), 0.5)
        with socket.create_server((address.host, address.port)):
            assert opener.wait_for(lambda: bool(opened), 10)

    assert opened == [f"http://{address}/"]
    assert ("no browser was found here" in text.getvalue()) is not has_browser
