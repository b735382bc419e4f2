"""Lets a start wait for the run that has the query, instead of fencing it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from confluent_kafka import KafkaException

from lib.errors import OwnerAliveError, StartGivenUpError
from lib.exactly_once.offsets.lease import Life, Owner, judge_owner
from lib.exactly_once.offsets.process_identity import has_ended

logger = logging.getLogger(__name__)

_LOOK_S = 1.0
# The first line about a wait comes at once, the next after this time, then each after twice the
# time of the one before.
_FIRST_REMINDER_S = 10.0
_LONGEST_REMINDER_S = 600.0


def stand_by(
    find_owner: Callable[[], Owner | None],
    *,
    query_name: str,
    timeout_s: float,
    given_up: threading.Event,
) -> None:
    """Wait until no other run of the query is alive, without changing anything.

    Args:
        find_owner: a function that asks the brokers for the run that has committed last.
        query_name: the name of the query, for messages.
        timeout_s: the longest wait; inf for no end.
        given_up: an event that ends the wait.

    Raises:
        OwnerAliveError: the wait took too long.
        StartGivenUpError: the wait was given up.
        KafkaException: the brokers do not answer the first question.
    """
    owner = find_owner()
    started_s = changed_s = time.monotonic()
    next_line_s, pause_s = 0.0, _FIRST_REMINDER_S
    while owner is not None:
        waited_s = time.monotonic() - started_s
        life = judge_owner(
            owner,
            now_s=time.time(),
            unchanged_s=time.monotonic() - changed_s,
            has_ended=has_ended(owner.pid, owner.identity),
        )
        if life is not Life.ALIVE:
            logger.info("taking over query=%s from %s: %s", query_name, owner, life.value)
            return
        if waited_s >= timeout_s:
            raise OwnerAliveError(
                f"query {query_name} is answered by {owner}, which is alive: waited"
                f" {waited_s:.0f} s, as --owner-timeout says"
            )
        if waited_s >= next_line_s:
            logger.warning(
                "query %s is answered by %s, which is alive: waiting until it ends, since %.0f s",
                *(query_name, owner, waited_s),
            )
            next_line_s, pause_s = waited_s + pause_s, min(pause_s * 2, _LONGEST_REMINDER_S)
        if given_up.wait(_LOOK_S):
            raise StartGivenUpError(
                f"the start of query {query_name} was given up while it waited for {owner}"
            )
        try:
            found = find_owner()
        except KafkaException as error:
            # Without brokers the owner cannot commit either, so its silence means nothing.
            logger.info("no answer about the owner of query=%s: %s", query_name, error)
            changed_s = time.monotonic()
            continue
        if found != owner:
            owner, changed_s = found, time.monotonic()
