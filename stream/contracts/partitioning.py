"""Which partition a key belongs to: murmur2, as Kafka's Java clients do it.

librdkafka's own default is CRC32; with it, a customer whose events come from a Java and from a C producer would be
two profiles. Producers of ours set ``partitioner=murmur2_random``; this module lets the readers check where a record
should have been.
"""

from functools import lru_cache
from typing import Final

_SEED: Final = 0x9747B28C
_MULTIPLIER: Final = 0x5BD1E995
_MASK: Final = 0xFFFFFFFF
_POSITIVE: Final = 0x7FFFFFFF


def murmur2(key: bytes) -> int:
    """The signed 32-bit hash of ``org.apache.kafka.common.utils.Utils.murmur2`` (Austin Appleby's MurmurHash2,
    Kafka's seed)."""
    length = len(key)
    whole = length & ~3
    h = _SEED ^ length
    for start in range(0, whole, 4):
        k = int.from_bytes(key[start : start + 4], "little") * _MULTIPLIER & _MASK
        k = (k ^ k >> 24) * _MULTIPLIER & _MASK
        h = (h * _MULTIPLIER & _MASK) ^ k
    if length != whole:
        h = (h ^ int.from_bytes(key[whole:], "little")) * _MULTIPLIER & _MASK
    h = (h ^ h >> 13) * _MULTIPLIER & _MASK
    h ^= h >> 15
    return h - (1 << 32) if h > _POSITIVE else h


@lru_cache(maxsize=1 << 17)
def partition_for(key: bytes, partitions: int) -> int:
    """The partition of ``key`` in a topic of ``partitions`` partitions, zero-based.

    Raises:
        ZeroDivisionError: a topic without partitions.
    """
    return (murmur2(key) & _POSITIVE) % partitions
