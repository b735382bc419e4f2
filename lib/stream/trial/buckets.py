"""Gives each record a bucket by a stable hash of its key, by which a challenger gets its share.

The hash is murmur3 (x86, 32 bits) with seed 42, as Spark's SQL function ``hash`` has it: whole
words of four bytes first, least significant byte first, then each byte that is left as a signed
integer of its own. So anybody can compute with Spark who answers a record::

    pmod(CASE WHEN key IS NULL THEN hash(partition, offset)
              ELSE hash(substring(key, 1, 256)) END, 1000000) < share * 1000000

It is not the hash of Kafka's partitioner, so that each partition has its part of the share.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

#: The number of buckets; a share is a number of them.
BUCKETS = 1_000_000
#: So many bytes of a key are hashed: one key of a megabyte must not delay a batch.
HASHED_BYTES = 256

_SEED = 42
_C1, _C2, _C3 = 0xCC9E2D51, 0x1B873593, 0xE6546B64
_F1, _F2 = 0x85EBCA6B, 0xC2B2AE35

Hashes = npt.NDArray[np.uint32]


def is_chosen(records: pa.RecordBatch, share: float) -> npt.NDArray[np.bool_]:
    """Tell which records belong to a share.

    A record that belongs to a share belongs to each larger one too.

    Args:
        records: n rows with ``source_key``, ``source_partition`` and ``source_offset``.
        share: the share in (0, 1).

    Returns:
        Whether each record belongs to it: bool [n].
    """
    chosen: npt.NDArray[np.bool_] = find_buckets(records) < round(share * BUCKETS)
    return chosen


def find_buckets(records: pa.RecordBatch) -> npt.NDArray[np.int64]:
    """Find the bucket of each record, by its key, or by its position if it has none.

    Args:
        records: see :func:`is_chosen`.

    Returns:
        The buckets: int64 [n] in [0, :data:`BUCKETS`).
    """
    keys = records["source_key"]
    hashes = hash_bytes(keys)
    if keys.null_count:
        places = hash_places(
            records["source_partition"].to_numpy(zero_copy_only=False),
            records["source_offset"].to_numpy(zero_copy_only=False),
        )
        hashes = np.where(np.asarray(keys.is_null()), places, hashes)
    # The hash is a signed integer, and its remainder is not negative.
    return np.mod(hashes.view(np.int32).astype(np.int64), BUCKETS)


def hash_bytes(values: pa.Array) -> Hashes:
    """Hash the first :data:`HASHED_BYTES` bytes of binary values: uint32 [n]; null as no bytes."""
    # A slice by position makes a new array, which begins at its first byte.
    cut = pc.binary_slice(pc.fill_null(values.cast(pa.binary()), b""), 0, HASHED_BYTES)
    _, ends, content = cut.buffers()
    bounds = np.frombuffer(ends, np.int32)[cut.offset : cut.offset + len(cut) + 1]
    data = np.frombuffer(content or b"", np.uint8)
    starts, lengths = bounds[:-1], np.diff(bounds)
    hashes = np.full(len(cut), _SEED, np.uint32)
    whole = lengths // 4
    for word in range(int(whole.max(initial=0))):
        rows = np.flatnonzero(whole > word)
        at = starts[rows] + 4 * word
        parts = [data[at + place].astype(np.uint32) << np.uint32(8 * place) for place in range(4)]
        hashes[rows] = _mix(hashes[rows], parts[0] | parts[1] | parts[2] | parts[3])
    for rest in range(3):
        rows = np.flatnonzero(lengths % 4 > rest)
        tail = data[starts[rows] + 4 * whole[rows] + rest]
        hashes[rows] = _mix(hashes[rows], tail.view(np.int8).astype(np.int32).view(np.uint32))
    return _finish(hashes, lengths.astype(np.uint32))


def hash_places(partitions: npt.NDArray[np.int32], offsets: npt.NDArray[np.int64]) -> Hashes:
    """Hash partitions and offsets: uint32 [n]; each hash is the seed of the next value's."""
    hashes = np.full(len(partitions), _SEED, np.uint32)
    hashes = _mix(hashes, partitions.astype(np.int32).view(np.uint32))
    hashes = _finish(hashes, np.uint32(4))
    halves = offsets.astype(np.int64).view(np.uint64)
    hashes = _mix(hashes, (halves & np.uint64(0xFFFFFFFF)).astype(np.uint32))
    hashes = _mix(hashes, (halves >> np.uint64(32)).astype(np.uint32))
    return _finish(hashes, np.uint32(8))


def _mix(hashes: Hashes, words: Hashes) -> Hashes:
    """Mix one word into each hash."""
    mixed = _rotate(words * np.uint32(_C1), 15) * np.uint32(_C2)
    return _rotate(hashes ^ mixed, 13) * np.uint32(5) + np.uint32(_C3)


def _finish(hashes: Hashes, lengths: Hashes | np.uint32) -> Hashes:
    """Mix the number of bytes into each hash, and let each of its bits depend on all others."""
    hashes = hashes ^ lengths
    hashes = (hashes ^ (hashes >> np.uint32(16))) * np.uint32(_F1)
    hashes = (hashes ^ (hashes >> np.uint32(13))) * np.uint32(_F2)
    return hashes ^ (hashes >> np.uint32(16))


def _rotate(words: Hashes, bits: int) -> Hashes:
    return (words << np.uint32(bits)) | (words >> np.uint32(32 - bits))
