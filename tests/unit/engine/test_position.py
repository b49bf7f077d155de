"""Changelog values and position records come back as they were written."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.engine.position import (
    HEADER_BYTES,
    Position,
    decode_position,
    due_of,
    encode_position,
    frame,
    is_waiting,
)

LATEST = 10**15
"""Epoch milliseconds of the year 33658."""


@given(st.integers(0, LATEST), st.booleans(), st.binary())
def test_a_frame_gives_back_what_it_holds(due: int, waiting: bool, state: bytes) -> None:
    framed = frame(due, waiting, state)
    assert (due_of(framed), is_waiting(framed), framed[HEADER_BYTES:]) == (due, waiting, state)


@given(st.builds(Position, st.integers(0, 2**62), st.integers(0, LATEST), st.integers(0, 100), st.binary()))
def test_a_position_gives_back_what_it_holds(position: Position) -> None:
    assert decode_position(encode_position(position)) == position


@given(st.binary(max_size=20))
def test_bytes_that_are_no_position_are_told(encoded: bytes) -> None:
    try:
        position = decode_position(encoded)
    except msgspec.DecodeError:
        return
    assert decode_position(encode_position(position)) == position


def test_a_position_of_a_later_version_with_more_fields_can_be_read() -> None:
    assert decode_position(msgspec.msgpack.encode([5, 6, 7, b"shared", 8, "more"])) == Position(5, 6, 7, b"shared", 8)


def test_no_bytes_are_no_position() -> None:
    with pytest.raises(msgspec.DecodeError):
        decode_position(b"")
