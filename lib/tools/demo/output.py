"""Prints the demonstration: steps with their time, and predictions as they arrive.

Predictions are a live table on a terminal, a line now and then elsewhere.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol, TextIO

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from lib.record.contract import Contract
from lib.record.prediction import Prediction
from lib.tools.demo.topics import Arrivals

_PLAIN_INTERVAL_S = 2.0
_LIVE_INTERVAL_S = 0.1


class Output:
    """Prints each step as it begins.

    Args:
        stream: the stream that the lines go to.

    Attributes:
        console: the console of the stream; whatever is drawn while lines are printed has to use it.
    """

    def __init__(self, stream: TextIO) -> None:
        self.console = Console(file=stream, highlight=False, markup=False, emoji=False)
        self._started_s = time.monotonic()

    def print_step(self, text: str) -> None:
        """Print a line with the seconds since the start."""
        self._print(f"{time.monotonic() - self._started_s:6.1f} s  {text}")

    def print_line(self, text: str) -> None:
        """Print a line without the time."""
        self._print(f"          {text}")

    def print_list(self, title: str, lines: Iterable[str]) -> None:
        """Print a title and the lines below it."""
        self._print(f"\n{title}")
        for line in lines:
            self._print(f"  {line}")

    def _print(self, line: str) -> None:
        self.console.print(line, soft_wrap=True)


class ArrivalView(Protocol):
    """Shows the predictions that arrived last."""

    def show(self, arrivals: Arrivals) -> None:
        """Show what has arrived, if the last time was long enough ago."""


def open_arrival_view(output: Output, contract: Contract) -> AbstractContextManager[ArrivalView]:
    """Return the view that fits the output: a table for a terminal, lines otherwise."""
    if output.console.is_interactive:
        return _LiveArrivalView(output.console, contract)
    return nullcontext(_PlainArrivalView(output))


def format_prediction(prediction: Prediction) -> str:
    """Return a prediction as one line."""
    return (
        f"{prediction.identifier}  {prediction.probability:.6f}  {prediction.label:<3}"
        f"  {prediction.model}"
    )


class _PlainArrivalView:
    def __init__(self, output: Output) -> None:
        self._output = output
        self._last_s = time.monotonic()
        self._shown = 0

    def show(self, arrivals: Arrivals) -> None:
        now_s = time.monotonic()
        if arrivals.total == self._shown or now_s - self._last_s < _PLAIN_INTERVAL_S:
            return
        self._last_s, self._shown = now_s, arrivals.total
        newest = f" | {format_prediction(arrivals.recent[-1])}" if arrivals.recent else ""
        self._output.print_line(f"{_format_counts(arrivals)}{newest}")


class _LiveArrivalView(AbstractContextManager[ArrivalView]):
    def __init__(self, console: Console, contract: Contract) -> None:
        self._positive_label = contract.positive_label
        self._names = contract.output
        # The caller of show() draws: a thread of its own would be in the way of Ctrl-C.
        self._live = Live(console=console, auto_refresh=False, transient=True)
        self._last_s = 0.0

    def __enter__(self) -> ArrivalView:
        self._live.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._live.stop()

    def show(self, arrivals: Arrivals) -> None:
        now_s = time.monotonic()
        if not arrivals.recent or now_s - self._last_s < _LIVE_INTERVAL_S:
            return
        self._last_s = now_s
        table = Table(self._names.identifier, "probability", self._names.label, "scored by")
        for prediction in list(arrivals.recent):
            style = "bold red" if prediction.label == self._positive_label else ""
            row = (prediction.identifier, f"{prediction.probability:.6f}", prediction.label)
            table.add_row(*row, prediction.model, style=style)
        self._live.update(Group(Text(_format_counts(arrivals)), table), refresh=True)


def _format_counts(arrivals: Arrivals) -> str:
    return f"{arrivals.predictions:,} predictions, {arrivals.dead_letters:,} dead letters"
