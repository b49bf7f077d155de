"""What was encoded is read again, older versions too; anything else is refused in the two ways the engine knows."""

from contextlib import suppress
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.profiles import codec
from stream.profiles.codec import CODEC_VERSION, NewerCodec, StateUnreadable
from stream.profiles.profile import Profile
from tests.unit.profiles.shop import START, folded, histories, purchase


@given(histories())
def test_a_round_trip_changes_nothing(history: list[Any]) -> None:
    if history:
        profile = folded(history)
        assert codec.decode(codec.encode(profile)) == profile
        assert codec.encode(codec.decode(codec.encode(profile))) == codec.encode(profile)


@given(histories())
def test_folding_from_bytes_gives_the_same_bytes_as_folding_in_memory(history: list[Any]) -> None:
    if len(history) > 1:
        half = codec.decode(codec.encode(folded(history[:-1])))
        assert codec.encode(folded(history[-1:], half)) == codec.encode(folded(history[-1:], folded(history[:-1])))


def test_the_version_comes_first() -> None:
    assert codec.encode(Profile())[0] == CODEC_VERSION


def test_a_newer_version_is_refused_as_newer() -> None:
    with pytest.raises(NewerCodec, match="upgrade the worker"):
        codec.decode(bytes([CODEC_VERSION + 1]) + codec.encode(Profile())[1:])


@pytest.mark.parametrize(
    "state", [b"", b"\x01", b"\x01\xff", b"\x00\x90", codec.encode(folded([purchase(START)]))[:-3]]
)
def test_what_is_no_profile_is_unreadable(state: bytes) -> None:
    with pytest.raises(StateUnreadable):
        codec.decode(state)


@given(st.binary(max_size=200))
def test_no_bytes_raise_anything_else(state: bytes) -> None:
    with suppress(StateUnreadable, NewerCodec):
        codec.decode(state)


def test_bytes_from_before_a_field_was_added_are_read() -> None:
    fields = msgspec.msgpack.decode(codec.encode(Profile(customer_id="c-1", browses=3))[1:])
    shorter = bytes([CODEC_VERSION]) + msgspec.msgpack.encode(fields[:-2])
    assert codec.decode(shorter) == Profile(customer_id="c-1", browses=3)


NOTES = st.lists(
    st.one_of(st.integers(0, 2**60), st.text(max_size=9), st.binary(max_size=300), st.lists(st.none(), max_size=40)),
    min_size=1,
    max_size=20,
)


def newer(state: bytes, notes: list[Any]) -> bytes:
    """The state as a build writes it that keeps these notes too."""
    return bytes([CODEC_VERSION]) + msgspec.msgpack.encode([*msgspec.msgpack.decode(state[1:]), *notes])


@given(histories(), NOTES)
@settings(max_examples=30)
def test_a_build_that_does_not_know_a_field_folds_beside_it_and_hands_it_on(
    history: list[Any], notes: list[Any]
) -> None:
    if len(history) > 1:
        older, last = codec.encode(folded(history[:-1])), history[-1:]
        assert codec.encode(codec.decode(newer(older, notes))) == newer(older, notes)
        beside = codec.encode(folded(last, codec.decode(newer(older, notes))))
        assert beside == newer(codec.encode(folded(last, codec.decode(older))), notes)


def test_an_older_version_is_brought_up_step_by_step() -> None:
    # Made up: version 1 had the customer in second place, version 2 had no fields but that.
    upcasters = {1: lambda fields: [fields[1]], 2: lambda fields: [fields[0].lower(), False]}
    old = b"\x01" + msgspec.msgpack.encode(["?", "C-1"])
    assert codec.upcast(old, 3, upcasters) == Profile(customer_id="c-1")


@pytest.mark.parametrize("fields", [["?"], [1, 2], {"a": 1}])
def test_an_older_version_that_is_broken_is_unreadable(fields: Any) -> None:
    upcasters = {1: lambda fields: [fields[1].lower()]}
    with pytest.raises(StateUnreadable):
        codec.upcast(b"\x01" + msgspec.msgpack.encode(fields), 2, upcasters)


def test_a_version_without_a_way_up_is_unreadable() -> None:
    with pytest.raises(StateUnreadable, match="no upcaster from version 1"):
        codec.upcast(b"\x01\x90", 3, {2: lambda fields: fields})
