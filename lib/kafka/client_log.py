"""Finds in a client's log the requests that may have been repeated. Pure.

librdkafka repeats a request whose connection ends or whose answer is late, and the call that sent
it succeeds as if nothing had happened. But the first copy may still reach the broker later. There
are three ends of a request without an answer yet, and each is in the log (``rdkafka_broker.c`` of
2.16):

- the network, the broker or the client ends its connection, for example because the coordinator
  has moved: ``rd_kafka_broker_fail`` writes FAIL, with the state of the connection;
- its answer is late (``socket.timeout.ms``): ``rd_kafka_broker_timeout_scan`` writes REQTMOUT;
- its answer comes.

Other sources do not suffice. ``error_cb`` gets connections that end only once all brokers are gone,
and never the coordinator's; ``stats_cb`` counts them, but comes by a timer, too late for the next
transaction. Above the level of debugging the log leaves out a line that equals the one before it
(for 30 s), so debugging of "broker" is on: four lines a transaction. A line is queued before the
request is repeated, so a poll after a call gets all of them.
"""

from __future__ import annotations

import logging
import re

logger = logging.getLogger(__name__)

#: The value that a client's option "debug" has to contain.
DEBUG_CONTEXT = "broker"

_CONNECTION_ENDED = "FAIL"
_ANSWER_IS_LATE = "REQTMOUT"
_STATE = re.compile(r"\(after \d+ms in state (\w+)")
# The states of a connection that has not carried a request of a transaction yet.
_STATES_BEFORE_REQUESTS = frozenset(
    {
        *("INIT", "DOWN", "TRY_CONNECT", "CONNECT", "SSL_HANDSHAKE"),
        *("AUTH_LEGACY", "APIVERSION_QUERY", "AUTH_HANDSHAKE", "AUTH_REQ"),
    }
)


class ClientLog:
    """Gets a client's log lines, like a ``logging.Logger``, while the client is polled.

    Args:
        passed_level: lines of this level of ``logging`` and above go to this module's logger, and
            no line with a level above INFO, because a call fails with the same error.

    Attributes:
        loss: the first line since the last :meth:`forget` after which a request may have been
            repeated; None if there is none.
    """

    def __init__(self, passed_level: int = logging.ERROR) -> None:
        self._passed_level = passed_level
        self.loss: str | None = None

    def log(self, level: int, text: str, facility: str, client: str, line: str) -> None:
        """Note a line; confluent-kafka calls this instead of a logger.

        Args:
            level: the level of ``logging``.
            text: the format of the other arguments.
            facility: librdkafka's name for this kind of line.
            client: the name of the client.
            line: the text of the line.
        """
        if level >= self._passed_level:
            logger.log(min(level, logging.INFO), text, facility, client, line)
        if self.loss is None and _may_repeat(facility, line):
            self.loss = line

    def note_repeated_call(self, error: str) -> None:
        """Note that the client asked to be called again."""
        self.loss = self.loss or f"a call was repeated after {error}"

    def forget(self) -> None:
        """Forget all lines so far."""
        self.loss = None


def _may_repeat(facility: str, line: str) -> bool:
    if facility == _CONNECTION_ENDED:
        state = _STATE.search(line)
        return state is None or state[1] not in _STATES_BEFORE_REQUESTS
    return facility == _ANSWER_IS_LATE
