"""Questions to Kafka that are asked again after errors that pass."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from confluent_kafka import KafkaError, KafkaException

Answer = TypeVar("Answer")

_POLL_S = 0.2


def ask_until_answered(
    ask: Callable[[], Answer],
    may_pass: Callable[[KafkaError], bool],
    timeout_s: float,
    *,
    poll_s: float = _POLL_S,
) -> Answer:
    """Ask, and ask again after errors that may pass.

    Args:
        ask: the question; called at least once.
        may_pass: a function that tells whether asking again may help after an error.
        timeout_s: the time for which the question is repeated; an error after it is raised.
        poll_s: the pause after an error.

    Raises:
        KafkaException: an error that does not pass, or the last one of the time.
    """
    deadline_s = time.monotonic() + timeout_s
    while True:
        try:
            return ask()
        except KafkaException as error:
            if time.monotonic() > deadline_s or not may_pass(error.args[0]):
                raise
        time.sleep(poll_s)
