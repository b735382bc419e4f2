"""The share of a challenger is that of a hash that anybody can compute."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pytest

from lib.stream.trial.buckets import BUCKETS, find_buckets, hash_bytes, hash_places, is_chosen

# Results of Spark 4.1's SQL function hash; "Spark" and "ABC" also stand in Spark's documents.
HASHES = {
    b"": 142593372,
    b"ABC": -757602832,
    b"abc": 1322437556,
    b"Spark": 228093765,
    b"7590-VHVEG": -271234301,
    b"\xff\xfe\x80": 131870668,
    b"x" * 256: -1509990940,
}


def hash_one(value: bytes) -> int:
    return int(hash_bytes(pa.array([value], pa.binary())).view(np.int32)[0])


@pytest.mark.parametrize("value", HASHES)
def test_the_hash_is_that_of_sparks_sql(value: bytes) -> None:
    assert hash_one(value) == HASHES[value]


def test_values_of_all_lengths_are_hashed_together_as_alone() -> None:
    values = pa.array([*HASHES, None, *reversed(HASHES)], pa.binary())

    found = hash_bytes(values).view(np.int32).tolist()

    assert found == [*HASHES.values(), 142593372, *reversed(HASHES.values())]


def test_a_slice_is_hashed_like_a_column_of_its_own() -> None:
    values = pa.array([b"first", *HASHES, b"last"], pa.binary()).slice(1, len(HASHES))

    assert hash_bytes(values).view(np.int32).tolist() == list(HASHES.values())


def test_only_the_first_256_bytes_of_a_key_are_hashed() -> None:
    assert hash_one(b"x" * 1_000_000) == HASHES[b"x" * 256]


def test_no_values_have_no_hashes() -> None:
    assert hash_bytes(pa.array([], pa.binary())).tolist() == []


def test_a_position_is_hashed_as_an_integer_and_a_long() -> None:
    # Results of Spark: hash(3, 17L), hash(0, 1099511627776L).
    places = np.array([3, 0], np.int32), np.array([17, 2**40], np.int64)

    assert hash_places(*places).view(np.int32).tolist() == [712838546, -1585143162]


def build(keys: Sequence[bytes | None], partition: int = 0) -> pa.RecordBatch:
    return pa.RecordBatch.from_pydict(
        {
            "source_key": pa.array(keys, pa.binary()),
            "source_partition": pa.array([partition] * len(keys), pa.int32()),
            "source_offset": pa.array(range(len(keys)), pa.int64()),
        }
    )


def test_the_bucket_is_the_remainder_of_the_hash() -> None:
    # Spark: pmod(142593372, 1000000), pmod(-757602832, 1000000), pmod(228093765, 1000000).
    assert find_buckets(build([b"", b"ABC", b"Spark"])).tolist() == [593372, 397168, 93765]


def test_records_without_a_key_are_divided_by_their_position() -> None:
    found = find_buckets(build([b"ABC", None, None, b"ABC", None]))

    assert found[0] == found[3] == 397168
    assert len({*found.tolist()}) == 4


@pytest.mark.parametrize("share", [0.01, 0.1, 0.5, 0.9])
@pytest.mark.parametrize("has_keys", [True, False], ids=["keys", "positions"])
def test_the_share_is_kept(share: float, has_keys: bool) -> None:
    keys = [f"{number:05}-KEY".encode() if has_keys else None for number in range(100_000)]

    found = is_chosen(build(keys), share).mean()

    # Five standard deviations of 100,000 records.
    assert abs(found - share) < 5 * (share * (1 - share) / 100_000) ** 0.5


def test_a_key_has_one_model_in_all_partitions_and_batches() -> None:
    here = is_chosen(build([b"a", b"b", b"c", b"d"], partition=0), 0.5)
    there = is_chosen(build([b"d", b"c", b"b", b"a"], partition=7), 0.5)

    assert here.tolist() == there.tolist()[::-1]


def test_who_belongs_to_a_share_belongs_to_a_larger_one() -> None:
    records = build([f"key-{number}".encode() for number in range(5_000)])

    small, large = is_chosen(records, 0.1), is_chosen(records, 0.3)

    assert not (small & ~large).any()


def test_a_share_may_be_as_small_as_one_bucket() -> None:
    keys = [f"key-{number}".encode() for number in range(1_000)]

    assert is_chosen(build(keys), 1 / BUCKETS).sum() <= 1
