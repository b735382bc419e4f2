"""The transactional ids of source partitions, and how a start takes them from an older run.

Commits on executors have a transactional id for each source partition: ``QUERY:TOPIC:PARTITION``.
Neither a query's nor a topic's name may hold a colon, so no two partitions share one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import closing
from dataclasses import dataclass, replace

from confluent_kafka import Consumer

from lib.errors import SinkFencedByTaskError, SinkFencedError, SinkTakenOverError
from lib.exactly_once.offsets.stamp import Author, Stamp
from lib.exactly_once.transaction.group_offsets import build_consumer_settings
from lib.exactly_once.transaction.settings import TransactionSettings
from lib.exactly_once.transaction.writer import TransactionalWriter

# A new producer costs 55 to 500 ms, nearly all of it waiting for the brokers.
_MOST_AT_ONCE = 16
# The threads of all producers that are open at once; a start has about fifty other threads.
_MOST_THREADS = 120
# Beside a thread for each broker, a producer has about three, and two more wait for its answers.
_THREADS_BESIDE_BROKERS = 5


def settings_of_partition(settings: TransactionSettings, partition: int) -> TransactionSettings:
    """Return the query's settings for one source partition.

    The stamps do not tell attempts of one task apart, which fence each other, and a start that
    meets a running task is tried again as a whole. So these writers do not open a second producer
    after they were fenced.
    """
    return replace(
        settings,
        transactional_id=f"{settings.query_name}:{settings.source_topic}:{partition}",
        partitions=frozenset({partition}),
        claim_wait_s=0.0,
        reopen_limit=0,
    )


def former_settings_of_partition(
    settings: TransactionSettings, partition: int
) -> TransactionSettings:
    """Return the settings for a partition with the transactional id of versions before 0.1.0."""
    former = f"{settings.query_name}-{settings.source_topic}-{partition}"
    return replace(settings_of_partition(settings, partition), transactional_id=former)


def count_parallel(brokers: int) -> int:
    """Compute how many partitions a start takes over at once with less than 200 threads. Pure.

    Args:
        brokers: the number of brokers; a client has a thread for each of them.
    """
    most = _MOST_THREADS // (brokers + _THREADS_BESIDE_BROKERS)
    return max(1, min(_MOST_AT_ONCE, most))


@dataclass(frozen=True)
class Predecessors:
    """The facts that a start knows of older runs before it fences them.

    Attributes:
        stamps: partition → metadata of the group's offset.
        brokers: the number of brokers in the cluster.
        query_id: Spark's id of the query, for this run's stamps.
        find_partitions: a function that returns the topic's partitions, and those that older runs
            have claimed. It is called after older drivers are fenced, because they can claim no
            partition then.
        check: a function that is called with a partition, its offset and the offset's metadata
            before this run claims them; it raises if this query has not committed them.
    """

    stamps: Mapping[int, str | None]
    brokers: int
    query_id: str
    find_partitions: Callable[[], Sequence[int]]
    check: Callable[[int, int | None, str | None], None]


@dataclass(frozen=True)
class Found:
    """The offsets that older runs have committed for each partition.

    Attributes:
        committed: partition → the group's offset, None where it has none.
        stamps: partition → metadata of that offset before it was claimed.
    """

    committed: dict[int, int | None]
    stamps: dict[int, str | None]


def take_partitions(
    settings: TransactionSettings,
    author: Author,
    predecessors: Predecessors,
    *,
    seen: Mapping[int, str | None] | None = None,
) -> Found:
    """Fence the producer of every partition, and put this run's stamp on its offset at once.

    A task of an older run that comes later reads the stamp and writes nothing; what one has
    committed before is found. So the producer of a partition need not stay open, and a topic of a
    thousand partitions takes no more threads than a small one. Runs on the driver, which has fenced
    the drivers of older runs before.

    Args:
        settings: the settings of the query.
        author: the run that signs the offsets.
        predecessors: the facts that are known of older runs and of their partitions.
        seen: partition → stamp that this run knows; None at its start.

    Raises:
        SinkFencedByTaskError: a task of an older run has begun to write meanwhile.
        SinkError: see ``TransactionalWriter.open``.
    """
    partitions = predecessors.find_partitions()
    is_former = any(_is_former(metadata) for metadata in predecessors.stamps.values())
    reader = Consumer(build_consumer_settings(settings))

    def take(partition: int) -> tuple[int | None, str | None]:
        if is_former:
            former = former_settings_of_partition(settings, partition)
            with closing(TransactionalWriter(former, author=author, reader=reader)) as fence:
                fence.open()
        writer = TransactionalWriter(
            settings_of_partition(settings, partition),
            author=author,
            seen=None if seen is None else {partition: seen.get(partition)},
            reader=reader,
        )
        with closing(writer):
            writer.open()
            offset, metadata = writer.committed[partition], writer.stamps[partition]
            predecessors.check(partition, offset, metadata)
            if offset is not None:
                # The start may still be refused, so the stamp keeps the id of the older query.
                stamp = Stamp.from_metadata(metadata)
                query_id = predecessors.query_id if stamp is None else stamp.query_id
                writer.claim({}, query_id=query_id)
        return offset, metadata

    try:
        found = _run_at_once(take, partitions, count_parallel(predecessors.brokers))
    finally:
        reader.close()
    return Found(
        {partition: offset for partition, (offset, _) in found.items()},
        {partition: metadata for partition, (_, metadata) in found.items()},
    )


def _is_former(metadata: str | None) -> bool:
    """Tell whether a release without leases has committed the offset on an executor."""
    stamp = Stamp.from_metadata(metadata)
    return stamp is not None and stamp.is_by_task_of_former_release


def _run_at_once(
    take: Callable[[int], tuple[int | None, str | None]], partitions: Sequence[int], parallel: int
) -> dict[int, tuple[int | None, str | None]]:
    """Take so many partitions at once, and no further ones after the first error."""
    with ThreadPoolExecutor(parallel) as pool:
        futures = {partition: pool.submit(take, partition) for partition in partitions}
        done, waiting = wait(futures.values(), return_when=FIRST_EXCEPTION)
        for future in waiting:
            future.cancel()
    for future in done:
        try:
            future.result()
        except SinkTakenOverError:
            raise
        except SinkFencedError as error:
            raise SinkFencedByTaskError(error.message) from error
    return {partition: future.result() for partition, future in futures.items()}
