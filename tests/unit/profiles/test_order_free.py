"""Any permutation of events within the allowed lateness gives the same features: the promise of ORDER_FREE_FEATURES."""

import math
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from stream.contracts.events import Event, Item
from stream.contracts.times import DAY_MS, HOUR_MS
from stream.profiles.decay import ERA_MS
from stream.profiles.profile import Profile
from stream.profiles.statistics import ORDER_FREE_FEATURES
from tests.unit.profiles.shop import START, event, folded, histories, purchase

TOLERANCE = 1e-9


def differences(left: Any, right: Any, path: str = "") -> list[str]:
    """Where two features differ: floats by more than the tolerance, all else at all."""
    if isinstance(left, float) and isinstance(right, float):
        return [] if math.isclose(left, right, rel_tol=TOLERANCE, abs_tol=TOLERANCE) else [f"{path}: {left} {right}"]
    if isinstance(left, dict) and isinstance(right, dict):
        # What has faded to nothing may or may not have left its table.
        keys = {key for key in left.keys() ^ right.keys() if _weight(left.get(key) or right.get(key)) > TOLERANCE}
        found = [f"{path}: only on one side: {key}" for key in keys]
        for key in left.keys() & right.keys():
            found += differences(left[key], right[key], f"{path}.{key}")
        return found
    if isinstance(left, tuple | list) and isinstance(right, tuple | list):
        if len(left) != len(right):
            return [f"{path}: {left} {right}"]
        return [
            one
            for index, pair in enumerate(zip(left, right, strict=True))
            for one in differences(*pair, f"{path}[{index}]")
        ]
    return [] if left == right else [f"{path}: {left} {right}"]


def _weight(row: Any) -> float:
    return float(row[1])


def features(profile: Profile, at: int) -> dict[str, object]:
    return {name: read(profile, at) for name, read in ORDER_FREE_FEATURES.items()}


def assert_same_features(left: Profile, right: Profile) -> None:
    at = left.last_time + 3 * DAY_MS
    found = differences(features(left, at), features(right, at))
    assert not found, "\n".join(found)


@settings(max_examples=250)
@given(st.data())
def test_any_permutation_within_the_lateness_gives_the_same_features(data: st.DataObject) -> None:
    history = data.draw(histories())
    if history:
        assert_same_features(folded(history), folded(data.draw(st.permutations(history))))


@given(st.data())
def test_permutations_across_a_landmark_give_the_same_features(data: st.DataObject) -> None:
    border = (START // ERA_MS + 1) * ERA_MS
    history = data.draw(histories())
    moved = [_moved(one, border - START - 20 * HOUR_MS) for one in history]
    if moved:
        assert_same_features(folded(moved), folded(data.draw(st.permutations(moved))))


@given(st.permutations(range(6)))
def test_returns_before_their_purchase_end_where_returns_after_it_do(order: list[int]) -> None:
    mug, pan = Item("mug", price=2.5, quantity=4.0, item_category="kitchen"), Item("pan", price=20.0, quantity=1.0)
    history = [
        purchase(START, mug, order="o-1", event_id="a"),
        purchase(START + 60_000, pan, order="o-1", event_id="b"),
        event("return", START + HOUR_MS, mug, transaction_id="o-1", event_id="c"),
        event("return", START + 2 * HOUR_MS, Item("pan", quantity=1.0), transaction_id="o-1", event_id="d"),
        purchase(START + 3 * HOUR_MS, mug, order="o-2", event_id="e"),
        event("return", START + 4 * HOUR_MS, Item("mug", price=2.5, quantity=1.0), transaction_id="o-2", event_id="f"),
    ]
    assert_same_features(folded(history), folded([history[place] for place in order]))


@given(st.permutations(range(4)))
def test_an_order_returned_as_a_whole_ends_the_same_whichever_part_comes_last(order: list[int]) -> None:
    history = [
        purchase(START, Item("mug", price=2.5, quantity=4.0), order="o-1", event_id="a"),
        purchase(START + 60_000, Item("pan", price=20.0, quantity=1.0), order="o-1", event_id="b"),
        event("return", START + HOUR_MS, transaction_id="o-1", event_id="c"),
        purchase(START + 2 * HOUR_MS, Item("cup", price=1.0, quantity=1.0), order="o-2", event_id="d"),
    ]
    in_order = folded(history)
    assert in_order.revenue_cents == 100
    assert_same_features(in_order, folded([history[place] for place in order]))


def test_a_return_stamped_before_its_purchase_ends_the_same_either_way() -> None:
    mug = Item("mug", price=2.5, quantity=4.0)
    returned = event("return", START, Item("mug", price=2.5, quantity=1.0), transaction_id="o-1")
    bought = purchase(START + HOUR_MS, mug, order="o-1")
    assert_same_features(folded([returned, bought]), folded([bought, returned]))


def _moved(one: Event, by: int) -> Event:
    assert isinstance(one.time, int)
    return Event(**{name: getattr(one, name) for name in one.__struct_fields__} | {"time": one.time + by})
