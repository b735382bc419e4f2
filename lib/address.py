"""An address at which the job listens, as it is written in a setting."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import Self

_ADDRESS = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):(?P<port>\d{1,5})")
_MOST_PORTS = 65_536


@dataclass(frozen=True)
class Address:
    """A host and a port.

    Attributes:
        host: the name or number of an interface of this machine.
        port: the port; 0 lets the machine choose a free one.
    """

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``HOST:PORT`` or ``[IPv6]:PORT``.

        Raises:
            ValueError: the text has another form.
        """
        found = _ADDRESS.fullmatch(text)
        if found is None or int(found["port"]) >= _MOST_PORTS:
            raise ValueError(
                f"found {text!r}, expected HOST:PORT, like 127.0.0.1:9464 or [::1]:9464"
            )
        return cls(found["host"].strip("[]"), int(found["port"]))

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine reaches the address."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"
