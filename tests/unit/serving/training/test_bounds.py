"""What of a window may be learned from: nothing absurd, nobody too much, and no window with too much poison in it."""

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.training.bounds import Bounds, WindowRefused, checked
from serving.training.permission import permitted
from serving.training.weights import bounded, by_age, winsorised
from stream.contracts.events import Consent, Event, Item
from stream.contracts.times import DAY_MS
from stream.profiles.settings import ProfileSettings
from tests.unit.serving.recorded_shop import START, shop_events

SETTINGS, BOUNDS = ProfileSettings(), Bounds()
SHOP = shop_events(customers=120, days=400)
END = max(event.time for event in SHOP)
BUYERS = sorted({event.customer_id for event in SHOP if event.type == "purchase"})


def order(number: int, customer: str, time: int, price: float = 5.0) -> Event:
    items = [Item(item_id="00001", item_name="BLUE TEA CUP", price=price, quantity=1.0)]
    return Event(f"p{number}", "purchase", time, customer, transaction_id=f"p{number}", currency="GBP", items=items)


def test_an_honest_shop_is_learned_from_whole():
    window = checked(SHOP, SETTINGS, BOUNDS)
    assert window.events == SHOP
    assert window.absurd == {}


def test_a_few_absurd_orders_are_left_out_and_many_refuse_the_window():
    giant = [order(0, BUYERS[0], END - DAY_MS, price=1e9)]
    window = checked([*SHOP, *giant], SETTINGS, BOUNDS)
    assert window.events == SHOP
    assert window.absurd == {"amount": 1}
    many = [order(number, customer, END - DAY_MS, price=1e7) for number, customer in enumerate(BUYERS[:6])]
    with pytest.raises(WindowRefused, match="are absurd"):
        checked([*SHOP, *many], SETTINGS, BOUNDS)


def test_orders_of_a_bot_beyond_a_bound_a_day_are_left_out():
    bot = [order(number, BUYERS[0], END - 60 * DAY_MS + number) for number in range(500)]
    window = checked([*SHOP, *bot], SETTINGS, BOUNDS)
    assert window.absurd == {"orders a day": 500 - BOUNDS.orders_a_day}
    with pytest.raises(WindowRefused, match="are absurd"):
        checked(
            [*SHOP, *(msgspec.structs.replace(each, time=each.time + 55 * DAY_MS) for each in bot)], SETTINGS, BOUNDS
        )


def test_dead_letters_refuse_the_window_only_where_they_are_new():
    old = [SHOP[0], *[None] * 60, *SHOP[1:]]
    assert checked(old, SETTINGS, BOUNDS).refused == 60
    with pytest.raises(WindowRefused, match="dead letters"):
        checked([*SHOP, *[None] * 60], SETTINGS, BOUNDS)


def test_a_crowd_that_was_never_seen_refuses_the_window():
    crowd = [order(number, f"bot{number}", END - DAY_MS) for number in range(300)]
    with pytest.raises(WindowRefused, match="never ordered before"):
        checked([*SHOP, *crowd], SETTINGS, BOUNDS)
    assert checked([*SHOP, *crowd], SETTINGS, Bounds(first_timers_share=1.0)).events == [*SHOP, *crowd]


def test_nobody_is_learned_from_who_was_erased_or_denies():
    erased, denies, again = BUYERS[:3]
    middle = START + 200 * DAY_MS
    said = [
        Event("x1", "erase", middle, erased),
        Event("x2", "consent", middle, denies, consent=Consent(personalization="denied")),
        Event("x3", "consent", middle, again, consent=Consent(personalization="denied")),
        Event("x4", "consent", middle + 1, again, consent=Consent(personalization="granted")),
    ]
    kept = permitted([*SHOP, *said])
    assert all(event.time > middle for event in kept if event.customer_id == erased)
    assert denies not in {event.customer_id for event in kept}
    assert [e for e in kept if e.customer_id == again][:3] == [e for e in SHOP if e.customer_id == again][:3]


@given(st.lists(st.integers(0, 5), min_size=12, max_size=60), st.floats(1.0, 6.0))
def test_no_customer_weighs_more_than_the_bound(whose, times_median):
    customer = np.array([*range(6), *whose])
    weight = np.exp2(np.arange(len(customer)) % 7 - 9.0)
    most = times_median * np.median(np.bincount(customer, weight))
    found = bounded(weight / weight.sum(), customer, times_median)
    assert found.sum() == pytest.approx(1.0)
    totals = np.bincount(customer, weight)
    # All are scaled alike to add up to one, so the ratios tell.
    ratios = np.bincount(customer, found) / np.minimum(totals, most)
    assert np.allclose(ratios, ratios[0])


def test_weights_within_the_bound_are_left_to_the_bit():
    weight, customer = by_age(np.arange(100) * 1_000, 30_000.0), np.arange(100) % 10
    assert bounded(weight, customer, 5.0) is weight


def test_one_order_cannot_be_the_revenue_of_the_shop():
    customer = np.arange(200)
    honest = np.full(200, 100.0)
    poisoned = np.append(honest[:-1], 1e12)
    found = winsorised(poisoned, np.ones(200), customer, 0.05)
    assert found[-1] == pytest.approx(0.05 * found.sum(), rel=1e-6)
    assert (found[:-1] == 100.0).all()
    assert np.array_equal(winsorised(honest, np.ones(200), customer, 0.05), honest)
