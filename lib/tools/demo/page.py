"""The page of the demonstration's job: where it is, and how a browser gets there."""

from __future__ import annotations

import socket
import webbrowser

from lib.address import Address
from lib.background import Background
from lib.tools.demo.output import Output

_LOOK_S = 0.2


def choose_address(wanted: str) -> Address:
    """Choose where the page listens: as wanted, or at a free port if a program listens there.

    Raises:
        OSError: this machine has no such address.
    """
    address = Address.parse(wanted)
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    try:
        port = _try_port(address.host, address.port, family)
    except OSError:
        port = _try_port(address.host, 0, family)
    return Address(address.host, port)


def _try_port(host: str, port: int, family: socket.AddressFamily) -> int:
    with socket.create_server((host, port), family=family) as listener:
        return int(listener.getsockname()[1])


class PageOpener(Background):
    """Opens the page in a browser, once the job serves it.

    Args:
        address: the address of the page.
        output: the output, which tells if there is no browser.
    """

    def __init__(self, address: Address, output: Output) -> None:
        super().__init__("page", patience_s=1.0)
        self._address = address
        self._output = output

    def _run(self) -> None:
        place = (self._address.host, self._address.port)
        while not self._stopped.wait(_LOOK_S):
            try:
                socket.create_connection(place, timeout=1).close()
            except OSError:
                continue
            if not webbrowser.open(f"http://{self._address}/"):
                self._output.print_line("no browser was found here: open the page by hand")
            return
