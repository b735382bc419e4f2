"""What a client's log tells of requests whose answers were lost. Pure.

librdkafka repeats a request whose connection ends or whose answer is late, and the call that sent
it succeeds as if nothing had happened. The first copy may reach the broker later all the same. Of
a request with an answer outstanding three things can become, and each is in the log
(``rdkafka_broker.c`` of 2.16):

- its connection ends, by the network, by the broker, or by the client, because the coordinator has
  moved: ``rd_kafka_broker_fail`` writes FAIL, with the state that the connection was in;
- its answer is late (``socket.timeout.ms``): ``rd_kafka_broker_timeout_scan`` writes REQTMOUT;
- its answer comes.

Other ways of telling do not suffice. ``error_cb`` hears of connections that end only once all
brokers are gone, and never of the coordinator's own; ``stats_cb`` counts them, but comes by a
timer, too late for the next transaction. The log above the level of debugging leaves out a line
that equals the one before it (for 30 s), so debugging of "broker" is on: four lines a transaction.
A line is queued before the request is repeated, so whoever polls after a call has them all.
"""

from __future__ import annotations

import logging
import re

logger = logging.getLogger(__name__)

#: What has to be in a client's option "debug".
DEBUG_CONTEXT = "broker"

_CONNECTION_ENDED = "FAIL"
_ANSWER_IS_LATE = "REQTMOUT"
_STATE = re.compile(r"\(after \d+ms in state (\w+)")
# Of a connection over which nothing of a transaction has been sent yet.
_STATES_BEFORE_REQUESTS = frozenset(
    {
        *("INIT", "DOWN", "TRY_CONNECT", "CONNECT", "SSL_HANDSHAKE"),
        *("AUTH_LEGACY", "APIVERSION_QUERY", "AUTH_HANDSHAKE", "AUTH_REQ"),
    }
)


class ClientLog:
    """Takes a client's log lines, in place of a ``logging.Logger``, while the client is polled.

    Args:
        passed_level: lines of this level of ``logging`` and above go to this module's logger.

    Attributes:
        loss: the first line since the last :meth:`forget` after which a request may have been
            repeated; None where there is none.
    """

    def __init__(self, passed_level: int = logging.ERROR) -> None:
        self._passed_level = passed_level
        self.loss: str | None = None

    def log(self, level: int, text: str, facility: str, client: str, line: str) -> None:
        """Note a line; confluent-kafka calls this as it would call a logger.

        Args:
            level: of ``logging``.
            text: the format of the others.
            facility: what librdkafka calls this kind of line.
            client: its name.
            line: what has happened.
        """
        if level >= self._passed_level:
            logger.log(level, text, facility, client, line)
        if self.loss is None and _may_repeat(facility, line):
            self.loss = line

    def note_repeated_call(self, error: str) -> None:
        """Note that the client asked to be called again."""
        self.loss = self.loss or f"a call was repeated after {error}"

    def forget(self) -> None:
        """What happened so far does not count any more."""
        self.loss = None


def _may_repeat(facility: str, line: str) -> bool:
    if facility == _CONNECTION_ENDED:
        state = _STATE.search(line)
        return state is None or state[1] not in _STATES_BEFORE_REQUESTS
    return facility == _ANSWER_IS_LATE
