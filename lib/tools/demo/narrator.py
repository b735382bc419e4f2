"""What the demonstration says: short lines, with the time since its start."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import TextIO

from rich.console import Console


class Narrator:
    """Tells each step as it begins.

    Args:
        stream: where the lines go.

    Attributes:
        console: of the stream; whatever is drawn while lines are told has to use it too.
    """

    def __init__(self, stream: TextIO) -> None:
        self.console = Console(file=stream, highlight=False, markup=False, emoji=False)
        self._started_s = time.monotonic()

    def tell(self, text: str) -> None:
        """A line with the time."""
        self._print(f"{time.monotonic() - self._started_s:6.1f} s  {text}")

    def show(self, text: str) -> None:
        """A line without it."""
        self._print(f"          {text}")

    def list(self, title: str, lines: Iterable[str]) -> None:
        """A paragraph."""
        self._print(f"\n{title}")
        for line in lines:
            self._print(f"  {line}")

    def _print(self, line: str) -> None:
        self.console.print(line, soft_wrap=True)
