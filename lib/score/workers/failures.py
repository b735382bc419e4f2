"""Counts the rows on which a model fails in a Python worker, tells of them, and stops the work.

It imports no pyspark, because each worker imports this module, and scoring in process needs none.
"""

from __future__ import annotations

import logging
import pickle
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import inf

from lib.errors import ModelFailingError
from lib.score.workers.shared import open_once

logger = logging.getLogger(__name__)

#: The share of failing rows at which work stops, for never.
NEVER = 1.0
#: The reason of a row for which the model gave something else than a probability.
NO_PROBABILITY = "no probability between 0 and 1"

# A share is judged after so many rows.
_LEAST_ROWS = 200
_INTERVAL_S = 10.0
_SHOWN_TEXTS = 3
_KEPT_TEXTS = 20
_OTHER = "other exceptions"

#: The text of an exception → the number of rows that it has failed.
Failures = Mapping[str, int]


class FailureLog:
    """Logs that a model has failed, at most one line in ten seconds.

    Args:
        model: the name of model and backend.
        whose: the words that follow the number of rows in the line.
    """

    def __init__(self, model: str, whose: str) -> None:
        self._model = model
        self._whose = whose
        self._pending: Counter[str] = Counter()
        self._told_s = -inf

    def add(self, failures: Failures) -> None:
        """Add failures to the next line."""
        self._pending = merge_failures(self._pending, failures)

    def tell(self, *, is_last: bool = False) -> None:
        """Log what there is to tell, if it is time to or ``is_last``."""
        if not self._pending or (not is_last and time.monotonic() - self._told_s < _INTERVAL_S):
            return
        shown = self._pending.most_common(_SHOWN_TEXTS)
        texts = "; ".join(f"{text} ({count})" for text, count in shown)
        more = ", and other reasons" if len(self._pending) > len(shown) else ""
        rows = self._pending.total()
        logger.warning(
            "model %s failed on %d rows%s: %s%s", self._model, rows, self._whose, texts, more
        )
        self._pending, self._told_s = Counter(), time.monotonic()


class FailureTally:
    """Counts the rows that a worker has tried, and those on which the model failed.

    A share is that of the last rows, at least 200, so that a model which begins to fail is noticed
    however long it has scored before.

    Args:
        model: the name of model and backend.
        limit: the share of failing rows, in (0, 1], at which work stops; :data:`NEVER` for never.
        report: a function that is called with the failures of each batch that has any.
    """

    def __init__(
        self, model: str, limit: float = NEVER, report: Callable[[Failures], None] | None = None
    ) -> None:
        self._model = model
        self._limit = limit
        self._report = report
        self._log = FailureLog(model, " in this worker")
        self._tried = 0
        self._failed: Counter[str] = Counter()

    def add(self, tried: int, failures: Failures) -> None:
        """Count rows that were tried.

        Args:
            tried: the number of rows.
            failures: those of them on which the model failed.

        Raises:
            ModelFailingError: too large a share of the last rows has failed.
        """
        self._tried += tried
        self._failed.update(failures)
        if self._tried < _LEAST_ROWS:
            return
        tried, failed, texts = self._tried, self._failed.total(), self._failed
        self._tried, self._failed = 0, Counter()
        if self._limit < NEVER and failed >= self._limit * tried:
            ((text, _),) = texts.most_common(1)
            raise ModelFailingError(
                f"model {self._model} failed on {failed} of {tried} records, {failed / tried:.0%},"
                f" most often with {text}"
            )

    def note(self, tried: int, failed: int) -> None:
        """Count rows of which the model in the JVM gave some no probability, and report these.

        Raises:
            ModelFailingError: see :meth:`add`.
        """
        failures = {NO_PROBABILITY: failed} if failed else {}
        self.add(tried, failures)
        if failures:
            self.report(failures)

    def tell(self, failures: Failures) -> None:
        """Tell of a batch's failures: log them, and report them."""
        self._log.add(failures)
        self._log.tell()
        self.report(failures)

    def report(self, failures: Failures) -> None:
        """Report a batch's failures to the driver, which logs them."""
        if self._report is not None:
            self._report(failures)


@dataclass(frozen=True)
class FailurePolicy:
    """Says what workers do about rows on which the model fails. They get it as a pickle.

    Attributes:
        limit: see :class:`FailureTally`.
        query: a name for the query, whose counts are its own.
        counts: a pickle of the accumulator of :data:`Failures` that the driver reads; None for
            none. A task in which nothing fails does not open it, so Spark sends nothing.
    """

    limit: float = NEVER
    query: str = ""
    counts: bytes | None = None

    def open(self, model: str) -> FailureTally:
        """Return the tally of this process.

        Args:
            model: the name of model and backend.
        """
        return open_once(
            f"failures of {model} in {self.query}",
            lambda: FailureTally(model, self.limit, None if self.counts is None else self._send),
        )

    def _send(self, failures: Failures) -> None:
        assert self.counts is not None
        pickle.loads(self.counts).add(failures)


#: Failing rows get no probability, however many they are.
TOLERANT = FailurePolicy()


def merge_failures(known: Failures, more: Failures) -> Counter[str]:
    """Return the sum of both, with a bounded number of texts."""
    merged = Counter(known)
    for text, count in more.items():
        is_kept = text in merged or len(merged) < _KEPT_TEXTS
        merged[text if is_kept else _OTHER] += count
    return merged
