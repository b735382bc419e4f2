"""Finds the partition to which Kafka's producers send a key. Pure."""

from __future__ import annotations

_SEED, _MULTIPLIER, _BITS = 0x9747B28C, 0x5BD1E995, 0xFFFFFFFF


def find_home_partition(key: bytes, count: int) -> int:
    """Return the partition of a key by Kafka's default partitioner, with so many partitions."""
    return (hash_murmur2(key) & 0x7FFFFFFF) % count


def hash_murmur2(data: bytes) -> int:
    """Hash bytes as ``org.apache.kafka.common.utils.Utils.murmur2`` does; 32 bits, unsigned."""
    value = (_SEED ^ len(data)) & _BITS
    whole = len(data) // 4 * 4
    for start in range(0, whole, 4):
        part = int.from_bytes(data[start : start + 4], "little") * _MULTIPLIER & _BITS
        part = (part ^ part >> 24) * _MULTIPLIER & _BITS
        value = (value * _MULTIPLIER & _BITS) ^ part
    if rest := data[whole:]:
        value = (value ^ int.from_bytes(rest, "little")) * _MULTIPLIER & _BITS
    value = (value ^ value >> 13) * _MULTIPLIER & _BITS
    return value ^ value >> 15
