"""Keys land where Kafka's Java clients put them."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.contracts.partitioning import murmur2, partition_for

# From org.apache.kafka.common.utils.UtilsTest#testMurmur2.
KAFKA_GOLDEN = {
    b"21": -973932308,
    b"foobar": -790332482,
    b"a-little-bit-long-string": -985981536,
    b"a-little-bit-longer-string": -1486304829,
    b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971,
    b"abc": 479470107,
}


@pytest.mark.parametrize(("key", "expected"), KAFKA_GOLDEN.items())
def test_hash_is_that_of_kafkas_own_tests(key: bytes, expected: int) -> None:
    assert murmur2(key) == expected


def java_murmur2(key: bytes) -> int:
    """Utils.murmur2 of Kafka, line by line, in two's-complement 32-bit arithmetic."""
    m, length = 0x5BD1E995, len(key)
    h = 0x9747B28C ^ length
    for (word,) in struct.iter_unpack("<I", key[: length // 4 * 4]):
        k = word * m % 2**32
        k ^= k >> 24
        k = k * m % 2**32
        h = h * m % 2**32
        h ^= k
    tail = key[length // 4 * 4 :]
    if len(tail) == 3:
        h ^= tail[2] << 16
    if len(tail) >= 2:
        h ^= tail[1] << 8
    if len(tail) >= 1:
        h ^= tail[0]
        h = h * m % 2**32
    h ^= h >> 13
    h = h * m % 2**32
    h ^= h >> 15
    return int(struct.unpack("<i", struct.pack("<I", h))[0])


@given(st.binary(max_size=200))
def test_hash_equals_the_java_algorithm_for_every_length(key: bytes) -> None:
    assert murmur2(key) == java_murmur2(key)


@given(st.binary(max_size=40), st.integers(1, 1_000))
def test_a_partition_is_one_of_the_topics(key: bytes, partitions: int) -> None:
    assert 0 <= partition_for(key, partitions) < partitions


def test_a_negative_hash_loses_its_sign_bit_and_not_its_sign() -> None:
    # toPositive is "& 0x7fffffff", not abs(): -973932308 -> 1173551340.
    assert partition_for(b"21", 10) == 1_173_551_340 % 10
