"""The settings of a transactional writer and of the sink around it. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import inf
from typing import Literal

from lib.errors import SettingsError
from lib.kafka.cluster import Cluster
from lib.kafka.partitions import parse_position

# Beside its own time, a transaction needs this much for last answers and the client's timers.
_STUCK_MARGIN_S = 15.0

OnStep = Callable[[str], None]


def ignore_step(step: str) -> None:
    """Do nothing when a step of a transaction is reached."""


@dataclass(frozen=True)
class TransactionSettings:
    """The settings of a transactional writer.

    Attributes:
        bootstrap_servers: ``host:port[,host:port...]``.
        query_name: the consumer group and the transactional id; one running job for each.
        source_topic: the topic whose offsets are committed.
        kafka: further client options, as with ``--kafka``.
        partitions: the partitions of the source topic that the query reads; None for all.
        transactional_id: a transactional id other than the query's name.
        transaction_timeout_s: the time after which the broker aborts a transaction that was left
            open; read_committed readers wait that long after a crash, if nobody restarts the job.
        request_timeout_s: the time limit of each client call except a commit, which may take as
            long as its transaction.
        stuck_after_s: the time after which a call that ignores its timeout is given up; None for
            :attr:`patience_s`, when the broker has aborted its transaction.
        attempts: the number of attempts for each batch.
        claim_wait_s: the time that a writer that was fenced waits for the stamp of another run
            before it opens a new producer; a start signs the offsets within seconds.
        reopen_limit: the number of times in a row that a fenced writer opens a new producer without
            knowing why it was fenced.
        part_bytes: the bytes of messages that a task on an executor holds at once, and that the
            driver collects at once from a batch that has failed twice, maybe for its size.
        on_step: a function that is called on the driver with the name of each step that a writer
            reaches; crash tests end the process in it.
    """

    bootstrap_servers: str
    query_name: str
    source_topic: str
    kafka: Mapping[str, str] = field(default_factory=dict, repr=False)
    partitions: frozenset[int] | None = None
    transactional_id: str | None = None
    transaction_timeout_s: float = 60.0
    request_timeout_s: float = 20.0
    stuck_after_s: float | None = None
    attempts: int = 6
    claim_wait_s: float = 10.0
    reopen_limit: int = 2
    part_bytes: int = 64 * 1024 * 1024
    on_step: OnStep = field(default=ignore_step, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Refuse a name that would make transactional ids ambiguous.

        Raises:
            SettingsError: the query's name holds a colon.
        """
        if ":" in self.query_name:
            raise SettingsError(
                f"the query name {self.query_name!r} holds a colon, which separates the parts of"
                " transactional ids",
                hint="give the query a name of letters, digits, '.', '_' and '-'",
            )

    @property
    def cluster(self) -> Cluster:
        """The brokers that the writer's clients connect to, and how."""
        return Cluster(self.bootstrap_servers, self.kafka)

    @property
    def patience_s(self) -> float:
        """The time after which a call that ignores its timeout is given up."""
        if self.stuck_after_s is not None:
            return self.stuck_after_s
        return self.transaction_timeout_s + _STUCK_MARGIN_S


@dataclass(frozen=True, kw_only=True)
class ExactlyOnceSettings(TransactionSettings):
    """The settings of the sink, which are those of its writers and some more.

    Attributes:
        checkpoint: path or URL of the query's checkpoint, on any file system that Spark knows.
        commit: "driver" for one transaction a batch, "executor" for one a source partition and
            batch; see ``DriverCommit`` and ``ExecutorCommit`` for what each promises and costs.
        starting_offsets: the position at which the very first start begins, in one of the forms
            of ``lib.kafka.partitions.POSITIONS``.
        ending_offsets: the position at which the run ends, in the same forms; None for a run
            without an end. It is looked for at each start, and has to be there by then.
        max_offsets_per_trigger: the number of records in the largest batch; it bounds memory.
        accept_offsets: a value that a refused start prints. With it, the start accepts the group's
            offsets whoever committed them, if they are the ones that the value was made for; see
            ``lib.exactly_once.offsets.acceptance``.
        lease_s: the seconds for which each commit says that the run is alive. A start waits for a
            run that is alive instead of fencing it. With 0 there is no lease, nothing is waited
            for, and the newest run takes over at once.
        owner_timeout_s: the time that a start waits for another run; inf for no end.
        keep_alive_s: the time between two commits of all offsets by an idle query, so that brokers
            do not forget them; less if brokers say that they forget sooner. 0 for never.
    """

    checkpoint: str
    commit: Literal["driver", "executor"] = "driver"
    starting_offsets: str = "earliest"
    ending_offsets: str | None = None
    max_offsets_per_trigger: int = 100_000
    accept_offsets: str | None = None
    lease_s: int = 30
    owner_timeout_s: float = inf
    keep_alive_s: float = 86_400.0

    def __post_init__(self) -> None:
        """Refuse positions of no known form as well.

        Raises:
            SettingsError: a setting has a wrong form.
        """
        super().__post_init__()
        for name in ("starting_offsets", "ending_offsets"):
            text = getattr(self, name)
            try:
                parse_position("earliest" if text is None else text)
            except ValueError as error:
                raise SettingsError(f"{name}: {error}, found {text!r}") from None
