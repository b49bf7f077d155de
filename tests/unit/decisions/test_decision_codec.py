"""State as bytes: what was written is read, everything else is refused, and nothing makes it large."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.contracts.events import Item
from stream.contracts.scores import ScoreRequest
from stream.decisions import codec
from stream.decisions.state import DecisionState, Rest
from stream.profiles.codec import NewerCodec, StateUnreadable

BOUND = 16 * 1024
offsets = st.integers(0, 2**62)

states = st.builds(
    DecisionState,
    since_offset=offsets,
    as_of=offsets,
    personalization=st.booleans(),
    marketing=st.booleans(),
    rests=st.dictionaries(st.sampled_from(["churn_risk", "second_purchase"]), st.builds(Rest, offsets, offsets)),
    raised_day=st.integers(0, 50_000),
    raised_today=st.integers(0, 9),
    shown=st.lists(st.text(max_size=20), max_size=10),
    shown_revision=st.integers(0, 10**6),
    shown_until=offsets,
    waiting=st.none() | st.builds(ScoreRequest, kind=st.just("score"), profile=st.binary(max_size=64)),
    retry_id=st.uuids().map(str) | st.just(""),
)


@given(states)
def test_what_is_written_is_read(state):
    assert codec.decode(codec.encode(state)) == state


@given(states)
def test_the_order_in_which_things_happened_does_not_show_in_the_bytes(state):
    other = codec.decode(codec.encode(state))
    other.rests = dict(reversed(other.rests.items()))
    assert codec.encode(other) == codec.encode(state)


@given(states, st.data())
def test_a_truncated_state_is_unreadable(state, data):
    written = codec.encode(state)
    cut = data.draw(st.integers(0, len(written) - 1))
    with pytest.raises(StateUnreadable):
        codec.decode(written[:cut])


@given(states, st.lists(st.binary(max_size=300) | st.lists(st.none(), max_size=20), min_size=1, max_size=20))
def test_a_build_that_does_not_know_a_field_hands_it_on(state, added):
    def newer(known):
        return known[:1] + msgspec.msgpack.encode([*msgspec.msgpack.decode(known[1:], type=list[msgspec.Raw]), *added])

    changed = codec.decode(newer(codec.encode(state)))
    assert codec.encode(changed) == newer(codec.encode(state))
    changed.shown = state.shown = ["p"]
    assert codec.encode(changed) == newer(codec.encode(state))


@given(st.binary(max_size=64))
def test_arbitrary_bytes_are_refused_in_one_of_two_ways(noise):
    try:
        codec.decode(noise)
    except (StateUnreadable, NewerCodec):
        return
    assert noise[:1] == bytes([codec.CODEC_VERSION])


def test_a_newer_version_stops_the_worker_and_an_impossible_one_is_unreadable():
    with pytest.raises(NewerCodec, match="upgrade the worker"):
        codec.decode(bytes([codec.CODEC_VERSION + 1]))
    with pytest.raises(StateUnreadable, match="no worker ever wrote it"):
        codec.decode(b"\x00")


def test_a_state_of_fewer_fields_still_decodes():
    shorter = bytes([codec.CODEC_VERSION]) + msgspec.msgpack.encode([7, 8])
    assert codec.decode(shorter) == DecisionState(since_offset=7, as_of=8)


def test_everything_at_once_stays_within_its_bound(shop):
    customer = shop.regular()
    long_ids = [f"{'x' * 100}-{number:02}" for number in range(40)]
    for day in range(61, 75):
        customer.buys(day, items=tuple(long_ids))
    customer.event("cart", 80, action="add", items=[Item(item_id=item, price=1.0, quantity=1) for item in long_ids])
    customer.asks(90, 0.9, items=long_ids, event_ids=["e" * 128] * 16)
    customer.asks(91, 0.9, fallback="timeout", event_ids=["e" * 128] * 16)
    assert customer.state.waiting is not None
    assert customer.state.episodes
    assert len(customer.kept) < BOUND


def test_an_ordinary_state_is_small(shop):
    customer = shop.regular()
    customer.asks(70, 0.1)
    assert len(customer.kept) < 200
    customer.asks(90, 0.9)
    assert len(customer.kept) < 2_500
