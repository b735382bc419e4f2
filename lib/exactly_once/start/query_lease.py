"""A run's hold of its query: from waiting for the run before it to telling the next one."""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable, Mapping
from math import inf

from confluent_kafka.admin import AdminClient

from lib.bounded import StuckError, run_bounded
from lib.errors import OwnerAliveError, SinkError, SinkFencedByTaskError, SinkFencedError
from lib.exactly_once.checkpoint.reader import CheckpointReader
from lib.exactly_once.commit.base import CommitStrategy, RenewalTimes
from lib.exactly_once.offsets.lease import Owner, find_owner
from lib.exactly_once.offsets.stamp import Stamp
from lib.exactly_once.start.snapshot import Snapshot
from lib.exactly_once.start.standby import stand_by
from lib.exactly_once.start.takeover import Takeover, take_over
from lib.exactly_once.transaction.group_offsets import look_at_group
from lib.exactly_once.transaction.keep_alive import KeepAlive
from lib.exactly_once.transaction.settings import ExactlyOnceSettings
from lib.kafka.retention import find_shortest_retention_s

logger = logging.getLogger(__name__)

# The old run's last tasks may fence the new one's claim; they do so once.
_CLAIM_ATTEMPTS = 3
# How often a start that lost to another one looks who has won, and how long it lets that go first.
_RACES = 8
_LONGEST_RACE_PAUSE_S = 15.0
# A release is a courtesy: without it the next run waits for the end of a lease.
_RELEASE_TIMEOUT_S = 5.0
# Of a lease: from one commit to the next while no batch commits, and between looks.
_RENEW_AFTER = 1 / 3
_LOOK_AFTER = 1 / 6
# Of what brokers remember: from one commit of all offsets to the next.
_RETENTION_SHARE = 1 / 4


class QueryLease:
    """Takes a query over, keeps it while it is idle, and lets go of it.

    Args:
        settings: of the sink.
        run_id: of this run.
        commit: how it commits.
        on_fenced: told when an idle run turns out to have been replaced.
    """

    def __init__(
        self,
        settings: ExactlyOnceSettings,
        run_id: str,
        commit: CommitStrategy,
        on_fenced: Callable[[SinkFencedError], object],
    ) -> None:
        self._settings = settings
        self._run_id = run_id
        self._commit = commit
        self._on_fenced = on_fenced
        self._is_owner = False
        self._given_up = threading.Event()
        self._keep_alive: KeepAlive | None = None

    def acquire(
        self,
        admin: AdminClient,
        checkpoint: CheckpointReader,
        topic_id: str,
        distrust: str | None = None,
    ) -> Takeover:
        """Wait until no other run is alive, take the query over, and keep it from then on.

        Called again after a failure, it does not wait: a run that has replaced this one ends it.

        Args:
            admin: for what brokers know of topic and group.
            checkpoint: of the query.
            topic_id: Kafka's id of the source topic.
            distrust: see ``take_over``.

        Raises:
            OwnerAliveError: another run is alive, and the settings bound the wait for it.
            StartGivenUpError: :meth:`give_up` was called while it waited.
            SinkError: see ``take_over``.
        """
        self._given_up.clear()
        races = fences = 0
        while True:
            try:
                found = take_over(
                    self._settings,
                    checkpoint,
                    self._commit,
                    admin,
                    topic_id,
                    lambda: self._stand_by(admin),
                    self._find_rival,
                    distrust,
                )
            except OwnerAliveError:
                raise
            except SinkFencedByTaskError:
                fences += 1
                if fences == _CLAIM_ATTEMPTS:
                    raise
                logger.info("a task of an older run is still writing, taking over again")
            except SinkFencedError as error:
                races += 1
                if not self._waits or races == _RACES:
                    raise
                logger.warning("another run started at the same time: %s", error.message)
                self._commit.close()
                pause_s = min(2.0**races, _LONGEST_RACE_PAUSE_S) * random.random()
                if self._given_up.wait(pause_s):
                    raise
            else:
                self._is_owner = True
                if self._keep_alive is None:
                    self._start_keep_alive(admin)
                return found

    @property
    def _waits(self) -> bool:
        """Whether another run that is alive is waited for."""
        return self._settings.lease_s > 0 and not self._is_owner

    def _find_rival(self, before: Snapshot, stamps: Mapping[int, str | None]) -> Owner | None:
        """The run that has taken over between this one's look and its fencing, if one has."""
        if not self._waits:
            return None
        known = {
            stamp.run_id for it in before.stamps.values() if (stamp := Stamp.from_metadata(it))
        }
        rival = find_owner(stamps.values(), self._run_id)
        return None if rival is None or rival.run_id in known else rival

    def _stand_by(self, admin: AdminClient) -> bool:
        """Whether there was another run to wait for."""
        if not self._waits:
            return False
        looks = 0

        def look() -> Owner | None:
            nonlocal looks
            looks += 1
            group = look_at_group(admin, self._settings, waits=False)
            return find_owner(group.stamps.values(), self._run_id)

        stand_by(
            look,
            query_name=self._settings.query_name,
            timeout_s=self._settings.owner_timeout_s,
            given_up=self._given_up,
        )
        return looks > 1

    def _start_keep_alive(self, admin: AdminClient) -> None:
        lease_s, all_s = self._settings.lease_s, self._settings.keep_alive_s or inf
        if all_s < inf:
            retention_s = find_shortest_retention_s(admin)
            all_s = min(all_s, inf if retention_s is None else retention_s * _RETENTION_SHARE)
        times = RenewalTimes(lease_s * _RENEW_AFTER if lease_s else inf, all_s)
        every_s = min(lease_s * _LOOK_AFTER if lease_s else inf, all_s / 2)
        if every_s < inf:
            commit = self._commit
            self._keep_alive = KeepAlive(lambda: commit.keep_alive(times), every_s, self._on_fenced)
            self._keep_alive.start()

    def give_up(self) -> None:
        """Let a wait or a commit under way fail now; from any thread."""
        self._given_up.set()
        self._commit.give_up()

    def release(self) -> None:
        """Tell the next run that this one has ended, if the brokers answer soon, and close."""
        if self._keep_alive is not None:
            self._keep_alive.stop()
            self._keep_alive = None
        if self._is_owner and self._settings.lease_s:
            try:
                run_bounded(self._commit.release, timeout_s=_RELEASE_TIMEOUT_S, what="releasing")
            except (SinkError, StuckError) as error:
                logger.info("query=%s not released: %s", self._settings.query_name, error)
                self._commit.give_up()
        self._is_owner = False
        self._commit.close()
