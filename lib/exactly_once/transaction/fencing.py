"""Finds out whether a producer was fenced by another run that goes on in its place."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping
from functools import partial

from confluent_kafka import KafkaException

from lib.bounded import StuckError, run_bounded
from lib.exactly_once.offsets.ownership import find_foreign
from lib.exactly_once.transaction.group_offsets import read_stamps
from lib.exactly_once.transaction.settings import TransactionSettings

logger = logging.getLogger(__name__)

# The time between two looks whether a rival has signed the offsets.
_LOOK_S = 0.5


class Fencing:
    """Decides whether a writer whose producer was fenced has been replaced, or may open again.

    There are other reasons than a successor. Brokers fence a producer to end a transaction that
    lasts too long by their clock, which goes on while the producer's machine is suspended. An
    initialisation that arrives late fences it, as does a call that was given up as stuck. And a
    rival may have died before its claim.

    It is safe to open a new producer, whatever the cause: the stamps are read before and after, and
    the committed offsets last. A rival that has claimed the group is found by its stamp, and this
    run ends. A rival that has not claimed it is fenced in its turn, and its claim fails before it
    has written anything. So a rival gets ``claim_wait_s`` for its claim, and wins unless it takes
    longer. Two runs that never sign would fence each other for ever; ``reopen_limit`` ends that.

    Args:
        settings: the settings of the writer.
        run_id: the id of this run.
        is_given_up: an event that ends waiting.
    """

    def __init__(
        self, settings: TransactionSettings, run_id: str, is_given_up: threading.Event
    ) -> None:
        self._settings = settings
        self._run_id = run_id
        self._is_given_up = is_given_up
        self._reopened = 0

    def note_success(self) -> None:
        """Note that the producer works, so that ``reopen_limit`` counts from zero again."""
        self._reopened = 0

    def find_successor(
        self, seen: Mapping[int, str | None] | None, *, is_own_doing: bool
    ) -> str | None:
        """Name the run that goes on in the writer's place; None where the writer may open again.

        Args:
            seen: the stamps that the run has seen; None before it has seen any, when it cannot tell
                the stamp of a rival from the stamp of an older run.
            is_own_doing: whether this writer is known to have caused the fencing itself.
        """
        may_open_again = is_own_doing
        if seen is not None and not is_own_doing and self._reopened < self._settings.reopen_limit:
            self._reopened += 1
            may_open_again = True
        signer = self._find_signer(seen or {})
        return signer or (None if may_open_again else "another producer")

    def _find_signer(self, seen: Mapping[int, str | None]) -> str | None:
        """Name who has signed the offsets; a new driver signs them as soon as it has started."""
        deadline = time.monotonic() + self._settings.claim_wait_s
        while True:
            stamps = self._peek_stamps()
            found = find_foreign(stamps, seen, self._run_id)
            if found is not None:
                return found[1]
            if any(metadata is None and seen.get(p) for p, metadata in stamps.items()):
                return "a producer whose stamp is gone, as the group's offsets are,"
            if time.monotonic() >= deadline or self._is_given_up.wait(_LOOK_S):
                return None

    def _peek_stamps(self) -> dict[int, str | None]:
        """Read the group's stamps; return none if Kafka does not answer soon."""
        try:
            return run_bounded(
                partial(read_stamps, self._settings),
                timeout_s=self._settings.request_timeout_s,
                what="stamps",
            )
        except (KafkaException, StuckError) as error:
            logger.info("stamps not read error=%s", error)
            return {}
