"""Simulated events: the same every time, in order, marked, and around real ones that stay as they are."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.contracts.codec import decode_event, encode
from stream.contracts.events import Event, Item
from stream.contracts.times import to_epoch_ms
from stream.operations.simulate import Load, around, synthetic


def orders(count: int) -> list[Event]:
    return [
        Event(
            event_id=f"o{number}",
            type="return" if number % 7 == 6 else "purchase",
            time=datetime(2010, 1, 1, tzinfo=UTC) + timedelta(hours=5 * number),
            customer_id=f"c{number % 5}",
            items=[
                Item(item_id=f"p{place}", item_name="MUG", price=1.0, quantity=2) for place in range(number % 9 + 1)
            ],
        )
        for number in range(count)
    ]


@given(st.integers(0, 60), st.integers(0, 5))
@settings(max_examples=25, deadline=None)
def test_real_events_stay_and_the_rest_is_marked_sorted_and_unique(count: int, seed: int) -> None:
    real = orders(count)
    mixed = list(around(real, seed))
    assert [event for event in mixed if not event.simulated] == real
    times = [to_epoch_ms(event.time) for event in mixed]
    assert times == sorted(times)
    assert len({event.event_id for event in mixed}) == len(mixed)
    assert {event.type for event in mixed if event.simulated} <= {"browse", "cart", "review", "engagement"}


def test_the_same_seed_gives_the_same_events_and_another_one_others() -> None:
    assert list(around(orders(40), 1)) == list(around(orders(40), 1))
    assert list(around(orders(40), 1)) != list(around(orders(40), 2))


def test_what_is_drawn_for_an_order_does_not_depend_on_the_others() -> None:
    def of_first(count: int) -> list[Event]:
        return [event for event in around(orders(count), 3) if event.event_id.startswith("o0-sim-")]

    assert of_first(1) == of_first(40)


def test_a_load_has_its_size_order_and_mix_and_can_be_read_back() -> None:
    load = Load(customers=50, events=4_000, seed=1)
    events = list(synthetic(load))
    assert events == list(synthetic(load))
    assert len({event.event_id for event in events}) == 4_000
    assert all(event.simulated for event in events)
    assert {event.customer_id for event in events} <= {f"c{number}" for number in range(50)}
    times = [to_epoch_ms(event.time) for event in events]
    assert times == sorted(times)
    assert times[-1] - times[0] < load.span / timedelta(milliseconds=1)
    share = sum(event.type == "purchase" for event in events) / len(events)
    assert share == pytest.approx(0.12, abs=0.02)
    assert [decode_event(encode(event)).event_id for event in events] == [event.event_id for event in events]


def test_a_return_undoes_an_order_of_the_same_customer() -> None:
    ordered: dict[str, str] = {}
    returns = 0
    for event in synthetic(Load(customers=5, events=3_000, seed=2)):
        if event.type == "purchase":
            ordered[event.transaction_id] = event.customer_id
        if event.type == "return":
            returns += 1
            assert ordered.pop(event.transaction_id) == event.customer_id
    assert returns > 10
