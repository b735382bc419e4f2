"""Gives up a query that hangs, and waits for brokers that are away."""

from __future__ import annotations

from pyspark.sql.streaming.query import StreamingQuery

from lib.errors import BatchTimeoutError, BrokersAwayError, ScoringError
from lib.stream.watch.life_signs import LifeSigns
from lib.stream.watch.outage import OutageWatch
from lib.stream.watch.stop_signal import StopSignal

_WAIT_S = 0.5
# A batch that shows no sign of life for longer is told of, long before it is given up.
_SUSPICIOUS_S = 60.0


class QueryGuard:
    """Decides whether a batch has taken too long, and whether an outage of brokers is the cause.

    Args:
        signs: the signs of life of the query.
        outage: the watch for outages of the brokers, which the caller keeps open.
        batch_timeout_s: the longest time without a sign of life while brokers answer.
        outage_limit_s: the longest outage; 0 for no limit.
    """

    def __init__(
        self,
        signs: LifeSigns,
        outage: OutageWatch,
        *,
        batch_timeout_s: float,
        outage_limit_s: float,
    ) -> None:
        self.signs = signs
        self.outage = outage
        self._batch_timeout_s = batch_timeout_s
        self._outage_limit_s = outage_limit_s

    @property
    def has_outage(self) -> bool:
        """Whether brokers are away, as far as is known."""
        return self.outage.duration_s > 0

    def find_outage_s(self) -> float:
        """Return the seconds for which brokers have been away; 0 if they are not."""
        return self.outage.duration_s

    def judge(self, query: StreamingQuery) -> ScoringError | None:
        """Look at a running query; return the reason to give it up, or None."""
        self.signs.look(query)
        if self._has_lasted_too_long():
            return self._build_outage_error()
        # A batch that has waited for brokers gets all its time again when they are back.
        hanging_s = min(self.signs.silence_s, self.outage.answering_s)
        if self.has_outage or hanging_s <= self._batch_timeout_s:
            return None
        return BatchTimeoutError(
            f"the batch has made no progress for {hanging_s:.0f} s: {self.signs.describe_wait()}"
        )

    def find_fault(self) -> str | None:
        """Describe in a phrase why the query does not get on; None if it does."""
        if self.has_outage:
            return f"waits for brokers, which have been away for {self.outage.duration_s:.0f} s"
        if self.signs.silence_s > min(_SUSPICIOUS_S, self._batch_timeout_s / 2):
            return f"no progress for {self.signs.silence_s:.0f} s: {self.signs.describe_wait()}"
        return None

    def is_excused(self, failure: ScoringError) -> bool:
        """Tell whether an outage of brokers since the last sign of life excuses a failure."""
        if not failure.is_transient:
            return False
        self.outage.ask()
        return self.outage.was_on(self.signs.last_s)

    def await_brokers(self, stop: StopSignal) -> None:
        """Wait until the brokers answer, or a stop is requested.

        Raises:
            BrokersAwayError: the outage is longer than its limit.
        """
        while self.has_outage and not stop.wait(_WAIT_S):
            if self._has_lasted_too_long():
                raise self._build_outage_error()

    def _has_lasted_too_long(self) -> bool:
        return 0 < self._outage_limit_s < self.outage.duration_s

    def _build_outage_error(self) -> BrokersAwayError:
        return BrokersAwayError(
            f"the brokers have been away for {self.outage.duration_s:.0f} s,"
            f" longer than --outage-limit {self._outage_limit_s:g}"
        )
