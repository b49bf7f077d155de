"""A profile is told field by field, and of two profiles what differs, nothing else."""

from hypothesis import given, settings

from stream.contracts.events import Event
from stream.contracts.times import DAY_MS
from stream.operations.history.fields import differences, told
from stream.profiles import codec
from tests.unit.profiles.shop import START, event, folded, histories, purchase

LONG = [purchase(START + day * DAY_MS, order=f"order-{day}", event_id=f"p-{day}") for day in range(-400, 0, 10)]


@given(histories())
@settings(max_examples=20, deadline=None)
def test_every_field_that_is_set_is_told_and_a_copy_does_not_differ(history: list[Event]) -> None:
    profile = folded([*LONG, *history])
    assert {"baskets", "settled_revenue", "interactions", "purchase_amounts"} <= told(profile).keys()
    assert differences(profile, codec.decode(codec.encode(profile))) == []


def test_revenue_that_was_doubled_is_told_in_money_and_by_the_order_alone() -> None:
    fresh = folded([purchase(START, order="a"), purchase(START + DAY_MS, order="b", event_id="b")])
    wrong = [purchase(START, order="a"), purchase(START + DAY_MS, order="b", event_id="b")]
    wrong[1].items[0].price *= 2  # type: ignore[operator]
    found = {each.field: each for each in differences(folded(wrong), fresh)}
    assert (found["revenue_cents"].live, found["revenue_cents"].fresh) == (3000, 2000)
    assert [row["revenue"] for row in found["baskets"].live] == [20.0]
    assert [row["revenue"] for row in found["baskets"].fresh] == [10.0]
    assert "purchases" not in found


def test_what_differs_below_the_digits_shown_is_still_told() -> None:
    live, fresh = folded([event("review", START)]), folded([event("review", START)])
    fresh.review_counts = bytes([fresh.review_counts[0] ^ 1]) + fresh.review_counts[1:]
    (found,) = differences(live, fresh)
    assert found.live != found.fresh
