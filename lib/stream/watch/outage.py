"""Asks whether the brokers answer while a query shows no sign of life."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from math import inf
from types import TracebackType
from typing import Self

from confluent_kafka import Consumer, KafkaError, KafkaException

from lib.background import Background
from lib.errors import first_line
from lib.exactly_once.transaction import retry
from lib.kafka.cluster import Cluster
from lib.waiting import Reminder

logger = logging.getLogger(__name__)
_RETRIES = logging.getLogger(retry.__name__)

# A broker whose garbage collection pauses is silent for a second or two.
_SUSPICIOUS_S = 3.0
_ANSWER_TIMEOUT_S = 2.0
# The pause between looks at the query, and between questions while brokers are away.
_POLL_S = 1.0
# The pause after an answer: a query in a long batch is silent too while its brokers are well.
_PAUSE_S = 4.0
# An outage is logged again after this time, then at growing intervals.
_FIRST_REMINDER_S = 15.0
# A broker that refuses the job, with one of these errors, has answered.
_REFUSALS = (KafkaError._AUTHENTICATION, KafkaError.SASL_AUTHENTICATION_FAILED, KafkaError._SSL)


class Brokers:
    """Asks the brokers who leads the job's topics, again and again with one client.

    The client is a consumer that never subscribes: when a producer asks for a topic that has been
    deleted, brokers may create it again.

    Args:
        cluster: the cluster of the brokers.
        topics: the topics that the job reads and writes.
    """

    def __init__(self, cluster: Cluster, topics: Sequence[str]) -> None:
        self._cluster = cluster
        self._topics = sorted(set(topics))
        self._client: Consumer | None = None
        self._failures: list[KafkaError] = []

    def find_fault(self) -> str | None:
        """Describe in a phrase what is wrong with the brokers; None if nothing is.

        Nothing is wrong if they answer and lead the topics' partitions. A broker that refuses the
        job, or does not know the topic, has answered too.
        """
        try:
            for topic in self._topics:
                orphans = self._find_orphans(topic)
                if orphans:
                    return f"no broker leads the partitions {orphans} of topic {topic}"
        except KafkaException as failure:
            error: KafkaError = failure.args[0]
            if not self._is_refused():
                servers = self._cluster.bootstrap_servers
                return f"no broker answers at {servers} ({first_line(error.str())})"
        return None

    def _find_orphans(self, topic: str) -> list[int]:
        """Find the partitions of a topic without a leader.

        Raises:
            KafkaException: no broker answers. One of several may hang, so this asks twice.
        """
        client = self._connect()
        try:
            cluster = client.list_topics(topic, timeout=_ANSWER_TIMEOUT_S)
        except KafkaException:
            cluster = client.list_topics(topic, timeout=_ANSWER_TIMEOUT_S)
        return [it.id for it in cluster.topics[topic].partitions.values() if it.leader < 0]

    def _connect(self) -> Consumer:
        if self._client is None:
            self._client = Consumer(
                {
                    # The client soon leaves a broker that hangs, and soon tries it again.
                    "socket.timeout.ms": int(_ANSWER_TIMEOUT_S * 1000),
                    "reconnect.backoff.max.ms": 1000,
                    **self._cluster.for_librdkafka(),
                    "group.id": "outage-watch",
                    "log_level": 0,
                    "error_cb": self._failures.append,
                }
            )
        return self._client

    def _is_refused(self) -> bool:
        if self._client is not None:
            self._client.poll(0)  # this delivers the errors
        refused = any(failure.code() in _REFUSALS for failure in self._failures)
        self._failures.clear()
        return refused


class OutageWatch(Background):
    """Notes outages of the brokers. It asks them only while the query shows no sign of life.

    While they last, the lines about transactions that are tried again are held back.

    Args:
        find_fault: a function that asks the brokers; see ``Brokers.find_fault``.
        find_silence_s: a function that returns the seconds since the query's last sign of life.
    """

    def __init__(
        self,
        find_fault: Callable[[], str | None],
        find_silence_s: Callable[[], float],
    ) -> None:
        super().__init__("outage watch", patience_s=0.0)
        self._find_fault = find_fault
        self._find_silence_s = find_silence_s
        self._asking = threading.Lock()
        self._began_s: float | None = None
        self._ended_s: float | None = None
        self._reminder = Reminder(_FIRST_REMINDER_S)

    @property
    def duration_s(self) -> float:
        """The seconds for which the brokers have been away; 0 if they are not."""
        began_s = self._began_s
        return 0.0 if began_s is None else time.monotonic() - began_s

    def __enter__(self) -> Self:
        _RETRIES.addFilter(self._is_news)
        return super().__enter__()

    def __exit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        super().__exit__(exception_type, exception, traceback)
        _RETRIES.removeFilter(self._is_news)

    def _is_news(self, record: logging.LogRecord) -> bool:
        """Tell whether a line about a repeated transaction says more than that brokers are away."""
        return self._began_s is None or _RETRIES.isEnabledFor(logging.DEBUG)

    def ask(self) -> None:
        """Ask the brokers now, whatever signs of life there are."""
        with self._asking:
            silence_s = self._find_silence_s()
            fault = self._find_fault()
            if fault is not None:
                self._note_fault(fault, silence_s)
            elif self._began_s is not None:
                duration_s = self.duration_s
                self._began_s, self._ended_s = None, time.monotonic()
                logger.warning("the brokers answer again, after %.0f s", duration_s)

    @property
    def answering_s(self) -> float:
        """The seconds since the end of the last outage; infinite if there was none."""
        ended_s = self._ended_s
        return inf if ended_s is None else time.monotonic() - ended_s

    def was_on(self, since_s: float) -> bool:
        """Tell whether brokers were away at any time since ``since_s``, by ``time.monotonic``."""
        if self._began_s is not None:
            return True
        return self._ended_s is not None and self._ended_s >= since_s

    def _note_fault(self, fault: str, silence_s: float) -> None:
        if self._began_s is None:
            self._began_s = time.monotonic() - silence_s
            self._reminder = Reminder(_FIRST_REMINDER_S)
        elif not self._reminder.is_due(self.duration_s):
            return
        since = time.strftime("%H:%M:%S", time.localtime(time.time() - self.duration_s))
        logger.warning("%s, since %s (%.0f s); the job waits", fault, since, self.duration_s)

    def _run(self) -> None:
        pause_s = _POLL_S
        while not self._stopped.wait(pause_s):
            pause_s = _POLL_S
            if self._began_s is not None or self._find_silence_s() >= _SUSPICIOUS_S:
                self.ask()
                pause_s = _POLL_S if self._began_s is not None else _PAUSE_S
