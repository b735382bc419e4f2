"""A run acquires its query, renews the lease while it is idle, and releases it for the next run."""

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
from lib.kafka.broker_settings import find_shortest_retention_s

logger = logging.getLogger(__name__)

# The last tasks of the old run may fence the claim of the new one, each of them once.
_CLAIM_ATTEMPTS = 3
# A start that another one has fenced tries again so often, after a random pause up to this length.
_RACES = 8
_LONGEST_RACE_PAUSE_S = 15.0
# A release may fail: without it the next run waits until the lease has expired.
_RELEASE_TIMEOUT_S = 5.0
# Shares of a lease: between two commits while no batch commits, and between two looks.
_RENEW_AFTER = 1 / 3
_LOOK_AFTER = 1 / 6
# The share of the brokers' retention of offsets between two commits of all offsets.
_RETENTION_SHARE = 1 / 4


class QueryLease:
    """Acquires a query for a run, renews its lease while it is idle, and releases it.

    Args:
        settings: the settings of the sink.
        run_id: the id of this run.
        commit: the commit strategy.
        on_fenced: a function for the case that another run has replaced this one while it was idle.
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
        """Wait until no other run is alive, take the query over, and renew the lease from then on.

        A second call, after a failure, does not wait: it fails if another run has taken over.

        Args:
            admin: a client that is asked for topic and group.
            checkpoint: the checkpoint of the query.
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
        """Whether this run waits for another one that is alive."""
        return self._settings.lease_s > 0 and not self._is_owner

    def _find_rival(self, before: Snapshot, stamps: Mapping[int, str | None]) -> Owner | None:
        """Find a run that has taken over between the first snapshot and the fencing."""
        if not self._waits:
            return None
        known = {
            stamp.run_id for it in before.stamps.values() if (stamp := Stamp.from_metadata(it))
        }
        rival = find_owner(stamps.values(), self._run_id)
        return None if rival is None or rival.run_id in known else rival

    def _stand_by(self, admin: AdminClient) -> bool:
        """Wait until no other run is alive, and return whether there was one."""
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
        """Let a wait or a commit under way fail at once; from any thread."""
        self._given_up.set()
        self._commit.give_up()

    def release(self) -> None:
        """Commit that this run has ended, if the brokers answer soon, and close the clients."""
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
