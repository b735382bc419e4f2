"""A transactional writer for each source partition: what commits on executors are made of.

The transactional id of a partition is ``QUERY-TOPIC-PARTITION``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from lib.errors import SinkFencedByTaskError, SinkFencedError, SinkTakenOverError
from lib.sinks.resume import Offsets
from lib.sinks.session import Hook, ignore
from lib.sinks.settings import TransactionSettings
from lib.sinks.stamp import Author
from lib.sinks.transaction import TransactionalWriter

# A new producer costs 55 to 500 ms, nearly all of it waiting for the brokers.
_PARALLEL = 16


def settings_of_partition(settings: TransactionSettings, partition: int) -> TransactionSettings:
    """The query's settings for one source partition.

    Attempts of a task fence each other without another stamp, and the start that meets a task is
    tried again as a whole. So these writers do not open again by themselves.
    """
    return replace(
        settings,
        transactional_id=f"{settings.query_name}-{settings.source_topic}-{partition}",
        partitions=frozenset({partition}),
        claim_wait_s=0.0,
        reopen_limit=0,
    )


class PartitionWriters:
    """Writers of several partitions, opened and used at the same time. Runs on the driver.

    Args:
        settings: of the query.
        author: signs the offsets.
        hook: see ``TransactionalWriter``.
    """

    def __init__(self, settings: TransactionSettings, author: Author, hook: Hook = ignore) -> None:
        self._settings = settings
        self._author = author
        self._hook = hook
        self._writers: dict[int, TransactionalWriter] = {}

    def open(self, partitions: Iterable[int], seen: Mapping[int, str | None] | None = None) -> None:
        """Fence the writers that the partitions had, and read what is committed.

        Args:
            partitions: all that are needed.
            seen: partition → stamp that this run knows; None at its start.

        Raises:
            SinkFencedByTaskError: a task of an older run is still writing.
            SinkError: see ``TransactionalWriter.open``.
        """
        for partition in partitions:
            self._writers[partition] = TransactionalWriter(
                settings_of_partition(self._settings, partition),
                self._hook,
                author=self._author,
                seen=None if seen is None else {partition: seen.get(partition)},
            )
        self._run(lambda _, writer: writer.open())

    @property
    def is_open(self) -> bool:
        """Whether any partition has a writer."""
        return bool(self._writers)

    @property
    def committed(self) -> dict[int, int | None]:
        """Partition → the group's offset; after :meth:`open`."""
        return {p: writer.committed[p] for p, writer in self._writers.items()}

    @property
    def stamps(self) -> dict[int, str | None]:
        """Partition → metadata of that offset; after :meth:`open`."""
        return {p: writer.stamps[p] for p, writer in self._writers.items()}

    def claim(self, offsets: Offsets, query_id: str) -> None:
        """Commit the group's offsets, and those given, under this run's stamp.

        Raises:
            SinkFencedByTaskError: a task of an older run has written since :meth:`open`.
            SinkError: see ``TransactionalWriter.claim``.
        """
        self._run(
            lambda p, writer: (
                writer.claim({p: offsets.get(p, 0)}, query_id=query_id)
                if p in offsets or writer.committed[p] is not None
                else None
            )
        )

    def close(self) -> None:
        """Let go of all of them."""
        self._run(lambda _, writer: writer.close())
        self._writers.clear()

    def _run(self, action: Callable[[int, TransactionalWriter], object]) -> None:
        """Do it with every writer; raise the first error once all are done."""
        if not self._writers:
            return
        with ThreadPoolExecutor(min(_PARALLEL, len(self._writers))) as pool:
            futures = [pool.submit(action, p, writer) for p, writer in self._writers.items()]
        for future in futures:
            try:
                future.result()
            except SinkTakenOverError:
                raise
            except SinkFencedError as error:
                raise SinkFencedByTaskError(error.message) from error
