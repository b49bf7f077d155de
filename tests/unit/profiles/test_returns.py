"""Returns and reversals undo what they return, as of the purchase."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.contracts.events import Event, Item
from stream.contracts.ids import item_hash
from stream.contracts.times import DAY_MS, HOUR_MS, MINUTE_MS
from stream.profiles import codec, statistics
from stream.profiles.interactions import CAPACITY
from stream.profiles.profile import Profile
from stream.profiles.rings import affinities, baskets, interactions, top_items
from stream.profiles.statistics import ORDER_FREE_FEATURES
from stream.profiles.timers import due
from tests.unit.profiles.shop import START, event, folded, orders_with_returns, purchase
from tests.unit.profiles.test_order_free import differences

MUG = Item("mug", price=2.5, quantity=4.0, item_category="kitchen")
PAN = Item("pan", price=20.0, quantity=1.0)
MISTAKE = Item("23166", price=1.04, quantity=74215.0, item_category="jars")
BEFORE = [purchase(START - 40 * DAY_MS, MUG, order="o-1"), purchase(START - 10 * DAY_MS, PAN, order="o-2")]
TRACES = {"returns", "return_counts", "purchases", "last_time", "baskets"}
"""That a return happened, and that an order was placed, stays known."""


def back(time: int, *items: Item, order: str = "", **fields: str) -> Event:
    return event("return", time, *items, transaction_id=order, **fields)


def traces(left: Profile, right: Profile, at: int) -> list[str]:
    return [
        difference
        for name, read in ORDER_FREE_FEATURES.items()
        if name not in TRACES
        for difference in differences(read(left, at), read(right, at), name)
    ]


@pytest.mark.parametrize("order", ["541431", ""], ids=["naming the order", "not naming it"])
def test_an_order_of_74215_reversed_after_16_minutes_leaves_no_trace(order: str) -> None:
    mistaken = [
        purchase(START, MISTAKE, order="541431"),
        back(START + 16 * MINUTE_MS, MISTAKE, order=order),
    ]
    at = START + DAY_MS
    without = folded(BEFORE)
    assert traces(folded(mistaken, folded(BEFORE)), without, at) == []
    assert folded([*BEFORE, *mistaken]).revenue_cents == 3000


def test_the_trace_would_be_seen() -> None:
    assert traces(folded([*BEFORE, purchase(START, MISTAKE)]), folded(BEFORE), START + DAY_MS)


@given(st.data())
def test_what_is_returned_line_by_line_is_as_if_it_never_was(data: st.DataObject) -> None:
    bought = [one for one in data.draw(orders_with_returns(1, HOUR_MS)) if one.type == "purchase"]
    returned = [
        back(START + 2 * DAY_MS, *one.items, order="order-1", event_id=f"back-{one.event_id}") for one in bought
    ]
    at = START + 3 * DAY_MS
    assert traces(folded([*BEFORE, *bought, *returned]), folded(BEFORE), at) == []


def test_a_partial_return_leaves_the_rest() -> None:
    profile = folded(
        [
            purchase(START, MUG, PAN, order="o-1"),
            back(START + HOUR_MS, Item("mug", price=2.5, quantity=3.0), order="o-1"),
        ]
    )
    (basket,) = baskets(profile)
    assert (basket.cents, basket.units, profile.revenue_cents) == (2250, 2000, 2250)
    assert statistics.frequency(profile) == 1
    assert {one.item_hash: one.quantity for one in interactions(profile)} == {
        item_hash("mug"): 1.0,
        item_hash("pan"): 1.0,
    }
    assert len(top_items(profile, START + DAY_MS)) == 2


def test_a_returned_line_without_a_price_takes_the_price_it_was_bought_for() -> None:
    unpriced = Item("mug", quantity=3.0)
    named = folded([purchase(START, MUG, PAN, order="o-1"), back(START + 1, unpriced, order="o-1")])
    unnamed = folded([purchase(START, MUG, PAN, order="o-1"), back(START + 1, unpriced)])
    assert named.revenue_cents == unnamed.revenue_cents == 3000 - 750


def test_an_order_returned_without_naming_items_is_no_basket() -> None:
    profile = folded([*BEFORE, purchase(START, MUG, PAN, order="o-3"), back(START + HOUR_MS, order="o-3")])
    assert statistics.frequency(profile) == 2
    assert profile.revenue_cents == 3000
    assert statistics.recency(profile, START) == 10 * DAY_MS
    assert folded([back(START + 2 * HOUR_MS, order="o-3", event_id="again")], profile).revenue_cents == 3000


def test_a_return_without_a_name_means_the_newest_purchase_that_was_large_enough() -> None:
    history = [
        purchase(START, Item("mug", price=1.0, quantity=10.0), order="o-1"),
        purchase(START + DAY_MS, Item("mug", price=2.0, quantity=2.0), order="o-2"),
        back(START + 2 * DAY_MS, Item("mug", price=1.0, quantity=10.0)),
    ]
    profile = folded(history)
    assert [basket.counts for basket in baskets(profile)] == [False, True]
    assert profile.revenue_cents == 400


def test_a_return_of_what_was_never_seen_is_a_loss_of_its_own_day() -> None:
    profile = folded([*BEFORE, back(START, PAN, order="unknown"), back(START + 1, Item("hat", price=1.0))])
    assert profile.revenue_cents == 3000 - 2000 - 100
    assert statistics.frequency(profile) == 2
    assert [one.type for one in interactions(profile)][-2:] == ["return", "return"]
    assert statistics.revenue_365d(profile, START + DAY_MS) == 900


def test_a_return_of_a_purchase_that_left_the_ring_takes_its_count_back() -> None:
    browsed = [event("browse", START + DAY_MS + number, Item("hat")) for number in range(CAPACITY)]
    kept = folded([purchase(START, MUG, PAN, order="o-1"), *browsed])
    for order in ("o-1", ""):
        profile = folded([back(START + 2 * DAY_MS, MUG, order=order)], codec.decode(codec.encode(kept)))
        assert [item.item_hash for item in top_items(profile, START + 3 * DAY_MS)] == [item_hash("pan")]
        assert profile.revenue_cents == 2000


def test_a_return_of_a_basket_that_has_settled_reduces_its_revenue() -> None:
    history = [purchase(START + day * DAY_MS, Item(f"{day}", price=1.0), order=f"{day}") for day in range(20)]
    profile = folded([*history, back(START + 21 * DAY_MS, Item("1", price=1.0))])
    assert profile.settled_baskets == 4
    assert statistics.revenue_365d(profile, START + 22 * DAY_MS) == profile.revenue_cents == 1900
    assert item_hash("1") not in {item.item_hash for item in top_items(profile, START + 22 * DAY_MS)}


def test_categories_come_back_with_the_line() -> None:
    profile = folded([purchase(START + 7, MUG, order="o-1"), back(START + HOUR_MS, MUG, order="o-1")])
    assert affinities(profile, START + HOUR_MS) == []


def test_lines_returned_ahead_of_their_purchase_are_forgotten_when_it_can_no_longer_come() -> None:
    early = back(START, MUG, order="o-1", event_id="early")
    later = back(START + 10 * DAY_MS, PAN, order="o-2", event_id="later")
    profile = folded([early, later])
    assert len(profile.pending_returns) == len(folded([later]).pending_returns)


def test_the_silence_is_counted_from_the_basket_that_was_kept() -> None:
    kept = folded(BEFORE[:1])
    profile = folded(
        [purchase(START - 39 * DAY_MS, PAN, order="o-2"), back(START - 38 * DAY_MS, order="o-2")], folded(BEFORE[:1])
    )
    assert due(profile) == due(kept) > 0


def test_a_customer_who_returned_everything_is_not_listened_to() -> None:
    profile = folded([purchase(START, PAN, order="o-1"), back(START + HOUR_MS, order="o-1")])
    assert profile.silence_due == 0
    assert statistics.recency(profile, START) is None
    assert statistics.monetary_value(profile) == 0.0
