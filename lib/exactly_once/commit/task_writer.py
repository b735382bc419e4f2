"""A task's writer, which opens while messages are made, and renews the lease of the run."""

from __future__ import annotations

import threading
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Self

import pyarrow as pa

from lib.exactly_once.offsets.resume import Offsets
from lib.exactly_once.transaction.keep_alive import KeepAlive
from lib.exactly_once.transaction.writer import TransactionalWriter, WriteReport

# The share of a lease between two looks.
_LOOK_AFTER = 1 / 3


class TaskWriter:
    """The writer of one source partition for the life of a task. Runs in a Python worker.

    Nobody else may commit the partition's offset meanwhile, so the task itself renews the lease of
    its run until it writes.

    Args:
        writer: the writer of the partition; it is closed at the end.
        query_id: Spark's id of the query, for the stamps.
        lease_s: the length of the run's lease in seconds; 0 for none.
    """

    def __init__(self, writer: TransactionalWriter, query_id: str, lease_s: int) -> None:
        self._writer = writer
        self._query_id = query_id
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(1)
        self._keep_alive = KeepAlive(self._renew, lease_s * _LOOK_AFTER) if lease_s else None
        self.opened: Future[None] = Future()

    def __enter__(self) -> Self:
        self.opened = self._pool.submit(self._writer.open)
        if self._keep_alive is not None:
            self._keep_alive.start()
        return self

    def __exit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._keep_alive is not None:
            self._keep_alive.stop()
        self._pool.shutdown()
        self._writer.close()

    def write(
        self,
        messages: pa.Table,
        partition: int,
        end: int,
        batch_id: int,
        starts: Offsets,
        counted: Offsets | None,
    ) -> WriteReport:
        """Write messages of the partition, and commit ``end`` as its offset.

        The arguments are those of ``TransactionalWriter.write``.

        Raises:
            SinkError: see ``TransactionalWriter``.
        """
        self.opened.result()
        with self._lock:
            return self._writer.write(
                messages,
                {partition: end},
                batch_id=batch_id,
                query_id=self._query_id,
                starts=starts,
                counted=counted,
            )

    def _renew(self) -> None:
        if not self.opened.done() or self.opened.exception() is not None:
            return
        if self._lock.acquire(blocking=False):
            try:
                self._writer.renew(self._writer.known, query_id=self._query_id)
            finally:
                self._lock.release()
