"""Predictions as they arrive: a live table on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from lib.record.contract import Contract
from lib.record.prediction import Prediction
from lib.tools.demo.narrator import Narrator
from lib.tools.demo.watcher import Arrivals

_PLAIN_INTERVAL_S = 2.0
_LIVE_INTERVAL_S = 0.1


class ArrivalView(Protocol):
    """Shows the newest arrivals."""

    def show(self, arrivals: Arrivals) -> None:
        """Show them, if it is time to."""


def open_arrival_view(
    narrator: Narrator, contract: Contract
) -> AbstractContextManager[ArrivalView]:
    """The view that fits where the narrator's lines go to."""
    if narrator.console.is_interactive:
        return _LiveArrivalView(narrator.console, contract)
    return nullcontext(_PlainArrivalView(narrator))


def format_prediction(prediction: Prediction) -> str:
    """One line."""
    return (
        f"{prediction.identifier}  {prediction.probability:.6f}  {prediction.label:<3}"
        f"  {prediction.model}"
    )


class _PlainArrivalView:
    def __init__(self, narrator: Narrator) -> None:
        self._narrator = narrator
        self._last_s = time.monotonic()
        self._shown = 0

    def show(self, arrivals: Arrivals) -> None:
        now_s = time.monotonic()
        if arrivals.total == self._shown or now_s - self._last_s < _PLAIN_INTERVAL_S:
            return
        self._last_s, self._shown = now_s, arrivals.total
        newest = f" | {format_prediction(arrivals.recent[-1])}" if arrivals.recent else ""
        self._narrator.show(f"{_format_counts(arrivals)}{newest}")


class _LiveArrivalView(AbstractContextManager[ArrivalView]):
    def __init__(self, console: Console, contract: Contract) -> None:
        self._positive_label = contract.positive_label
        self._names = contract.output
        # Drawn by whoever calls show(): a thread that draws, and Ctrl-C, do not go well together.
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
