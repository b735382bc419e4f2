"""Hold all that one leg of a campaign needs: brokers, proxy, topics, load, job and reader."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from confluent_kafka.admin import AdminClient

from lib.kafka.cluster import Cluster
from lib.kafka.topics import create_topics
from lib.store import ModelStore
from lib.tools.broker.guarded_folder import GuardedFolder
from tests.crash.ground import Ground, open_ground
from tests.crash.schedule import Leg
from tests.crash.supervisor import Launch, Supervisor
from tests.end_to_end.jobs import Deployment
from tests.support.answers import AnswerReader, Watch
from tests.support.champions import Champions
from tests.support.ledger import Ledger, Probabilities, Rivals
from tests.support.load import Load
from tests.support.numbered import NumberedRecords
from tests.support.spark_cluster import SparkCluster

MODEL_NAME = "churn"
INPUT, OUTPUT, DEAD_LETTERS, SHADOWS = "customers", "predictions", "dead-letters", "shadows"
QUERY = "laboratory"
_PARTITIONS = 4
# The oversized record among the broken ones needs room for its headers in the dead-letter topic.
_WIDE = {"max.message.bytes": "2097152"}
# Batches are small, so that strikes hit many of them and there is always something to do.
_BATCH_RECORDS = 1_000
_BACKLOG_RECORDS = 4_000
# After this many starts in a row without a single answer the job will not recover.
_MAX_STARTS = 12
_POLL_S = 0.02
CHALLENGER, SHADOW, _SHARE = f"{MODEL_NAME}@3", f"{MODEL_NAME}@4", 0.2
_RIVALS: dict[str, str | int] = {
    "challenger": CHALLENGER,
    "challenger_share": str(_SHARE),
    "shadow": SHADOW,
    "shadow_topic": SHADOWS,
}
# 2 % of the records are broken, so only a flood reaches this share.
_BRAKE: dict[str, str | int] = {"max_dead_letter_share": "0.3", "over": 500}


class LaboratoryError(Exception):
    """An error for a job that does not recover. The message has the end of its log."""


@dataclass(frozen=True)
class Setup:
    """Settings that all legs of a campaign share.

    Attributes:
        store: model store with at least two versions of :data:`MODEL_NAME`.
        probabilities: expected probabilities of all these versions.
        records: maker of the records.
        delivery: the job's setting ``delivery``.
        job_options: more settings of the job, like ``{"commit": "executor"}``.
        jars: jars of another version of Kafka than that in ``conf/ivy.xml``; none for that version.
        rate: highest number of records per second.
    """

    store: Path
    probabilities: Probabilities
    records: NumberedRecords
    delivery: str = "exactly-once"
    job_options: Mapping[str, str] = field(default_factory=dict)
    jars: Sequence[Path] = ()
    rate: float = 4_000.0


class Arena:
    """Everything that a leg needs; ``with`` starts it all, and ends it whatever happens.

    Args:
        setup: settings of the campaign.
        folder: a new folder, in which only the logs remain at the end.
        leg: the leg, which says what scores, and where.
    """

    ground: Ground

    def __init__(self, setup: Setup, folder: Path, leg: Leg) -> None:
        self.setup = setup
        self.folder = folder
        champion = ModelStore(setup.store).read_champion(MODEL_NAME)
        self.champions = Champions(f"{MODEL_NAME}@{champion}")
        rivals = Rivals(f"{CHALLENGER}/{leg.backend}", f"{SHADOW}/{leg.backend}", _SHARE)
        self.ledger = Ledger(
            setup.records,
            setup.probabilities,
            self.champions,
            rivals if leg.has_rivals else None,
        )
        self.cluster = SparkCluster(folder / "cluster") if leg.is_cluster else None
        self.partitions = _PARTITIONS
        self._leg = leg
        self._commit = setup.job_options.get("commit", "driver")
        self._stack = ExitStack()
        self._checkpoints = 0

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self.ground = stack.enter_context(open_ground(self._leg.site, self.setup.jars))
            servers = self.ground.broker.bootstrap_servers
            create_topics(Cluster(servers), {INPUT: _PARTITIONS, DEAD_LETTERS: 2}, _WIDE)
            create_topics(Cluster(servers), {OUTPUT: _PARTITIONS, SHADOWS: _PARTITIONS})
            self._servers = servers
            self.renew_admin()
            options = []
            if self.cluster is not None:
                options = stack.enter_context(self.cluster).submit_options()
            guard = GuardedFolder.create(prefix="churn-crash-")
            stack.callback(guard.remove)
            self.supervisor = Supervisor(
                self.folder,
                options,
                {"SPARK_LOCAL_IP": "127.0.0.1"},
                self.ground.job_launcher,
                guard,
            )
            stack.callback(self.supervisor.end)
            reader = AnswerReader(servers, OUTPUT, DEAD_LETTERS, self.ledger, SHADOWS)
            self.reader = stack.enter_context(reader)
            load = Load(
                servers,
                INPUT,
                _PARTITIONS,
                self.ledger,
                rate=self.setup.rate,
                backlog=_BACKLOG_RECORDS,
            )
            self.load = stack.enter_context(load)
            self.renew_checkpoint()
            self.watch = self.reader.watch()
            self.supervisor.start()
            self._stack = stack.pop_all()
        return self

    def renew_admin(self) -> None:
        """Make a new admin client; one that has outlived its brokers may never find new ones."""
        self.admin = AdminClient(
            {
                "bootstrap.servers": self._servers,
                "metadata.recovery.strategy": "none",
                "log_level": 0,
            }
        )

    def __exit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stack.close()
        for folder in (*self.folder.glob("start-*/tmp"), *self.folder.glob("checkpoint-*")):
            shutil.rmtree(folder, ignore_errors=True)

    @property
    def job(self) -> Launch:
        """The job that runs, or has just died."""
        return self.supervisor.current

    def mark(self) -> Watch:
        """Begin to watch what readers see after something was killed or disturbed."""
        self.watch = self.reader.watch()
        return self.watch

    def wait_for(
        self, condition: Callable[[], bool], timeout_s: float, *, restarts: bool = True
    ) -> bool:
        """Wait for a condition, restart a job that has ended, and tell whether the condition holds.

        Raises:
            LaboratoryError: the job ends again and again without having answered anything.
        """
        deadline = time.monotonic() + timeout_s
        starts, answered = 0, self.ledger.answered
        while not self.reader.wait_for(condition, _POLL_S):
            self.load.check()
            if time.monotonic() > deadline:
                return False
            if restarts and self.supervisor.tend():
                starts = starts + 1 if self.ledger.answered == answered else 1
                answered = self.ledger.answered
                if starts > _MAX_STARTS:
                    log = self.supervisor.launches[-2].read_log_tail()
                    raise LaboratoryError(f"{starts} starts without an answer; the log:\n{log}")
        return True

    def renew_checkpoint(self) -> None:
        """Give the job an empty checkpoint from its next start on, and delete the old one."""
        shutil.rmtree(self.checkpoint, ignore_errors=True)
        self.move_checkpoint()

    def move_checkpoint(self) -> None:
        """Give the job an empty checkpoint, but keep the old one, which another job still uses."""
        self._checkpoints += 1
        self._configure()

    @property
    def is_by_tasks(self) -> bool:
        """Whether tasks commit, instead of the driver, from the job's next start on."""
        return self._commit == "executor"

    def change_commit(self) -> None:
        """Let the other side, tasks or driver, commit from the job's next start on."""
        self._commit = "driver" if self.is_by_tasks else "executor"
        self._configure()

    @property
    def has_brake(self) -> bool:
        """Whether a flood of broken records stops the job before it answers them."""
        return self.setup.delivery == "exactly-once"

    def accept_dead_letters(self) -> None:
        """Start the job once with the flag that accepts what the topic holds."""
        self._configure("--once-accept-dead-letters")
        self.supervisor.tend()
        self._configure()

    def _configure(self, *once: str) -> None:
        deployment = Deployment(
            bootstrap_servers=self.ground.job_servers,
            input_topic=INPUT,
            output_topic=OUTPUT,
            dead_letter_topic=DEAD_LETTERS,
            store=self.setup.store,
            checkpoint=self.checkpoint,
            query_name=QUERY,
        )
        arguments = deployment.arguments(
            trigger="0 seconds",
            backend=self._leg.backend,
            delivery=self.setup.delivery,
            max_offsets_per_trigger=_BATCH_RECORDS,
            reload_interval="0.5",
            **{
                **(_BRAKE if self.has_brake else {}),
                **(_RIVALS if self._leg.has_rivals else {}),
                **self.setup.job_options,
                "commit": self._commit,
            },
        )
        self.supervisor.configure([*arguments, *once])

    @property
    def checkpoint(self) -> Path:
        """The checkpoint that the job uses from its next start on."""
        return self.folder / f"checkpoint-{self._checkpoints}"

    def promote_other_model(self) -> str:
        """Make the other version the champion, which the job takes at once; return its name."""
        store = ModelStore(self.setup.store)
        number = 2 if store.read_champion(MODEL_NAME) == 1 else 1
        self.champions.promote(f"{MODEL_NAME}@{number}", time.time())
        store.promote(MODEL_NAME, number)
        return f"{MODEL_NAME}@{number}"
