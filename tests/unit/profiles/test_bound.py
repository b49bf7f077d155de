"""An encoded profile never passes its bound, however long and wild the history."""

import math
import random
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.contracts.events import Event, Item, Review
from stream.contracts.times import DAY_MS, HOUR_MS, LATEST_MS
from stream.profiles import bound, codec
from stream.profiles.bound import CUSTOMER_BOUND, VISITOR_BOUND
from stream.profiles.profile import Profile
from stream.profiles.rings import affinities, interactions, top_items
from stream.profiles.statistics import frequency
from tests.unit.profiles.shop import START, event, folded, purchase, step

HUGE = ("linked_visitor", "revenue_cents", "settled_gap_squares", "first_offset")
"""Neither times nor counts of events: whatever 64 bits hold."""


def wild(draw: random.Random, count: int, anonymous: bool = False) -> list[Event]:
    """A history with all tables full, long ids of four bytes a character, and returns of unknown orders."""
    long = "\N{OLD ITALIC LETTER A}" * 120
    events = []
    time = START
    for number in range(count):
        time += draw.choice([1000, HOUR_MS, DAY_MS])
        some = [
            Item(
                f"{draw.randrange(10**6)}{long}",
                item_category=f"{draw.randrange(50)}",
                price=draw.uniform(0, 1e6),
                quantity=float(draw.randrange(1, 10**6)),
            )
            for _ in range(draw.choice([1, 2, 40]))
        ]
        kind = draw.choice(["browse", "cart", "purchase", "return", "review"])
        fields = {
            "event_id": f"{number:08}{long}",
            "customer_id": "" if anonymous else long,
            "anonymous_id": long,
            "transaction_id": f"{number}" if kind in ("purchase", "return") else "",
            "action": "add" if kind == "cart" else None,
            "review": Review(rating=3.0) if kind == "review" else None,
        }
        events.append(event(kind, time, *some, **fields))
    return events


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 150), st.booleans())
def test_no_history_passes_the_bound(seed: int, count: int, anonymous: bool) -> None:
    limit = VISITOR_BOUND if anonymous else CUSTOMER_BOUND
    profile = None
    for offset, one in enumerate(wild(random.Random(seed), count, anonymous)):
        profile = step(profile, one, offset).profile
        assert profile is not None
        assert len(codec.encode(profile)) <= limit


def test_what_a_newer_build_has_added_takes_no_row_from_a_table() -> None:
    notes = ["x" * 300, 7]

    def newer(profile: Profile) -> bytes:
        encoded = codec.encode(profile)
        return encoded[:1] + msgspec.msgpack.encode([*msgspec.msgpack.decode(encoded[1:]), *notes])

    alone: Profile | None = None
    beside: Profile | None = None
    for offset, one in enumerate(wild(random.Random(5), 60)):
        alone, beside = step(alone, one, offset).profile, step(beside, one, offset).profile
        assert alone is not None
        assert beside is not None
        if offset:
            assert codec.encode(beside) == newer(alone)
        else:
            beside = codec.decode(newer(beside))
    assert len(codec.encode(alone)) > CUSTOMER_BOUND - bound.SLACK - 300, "it had to give way"


@pytest.mark.parametrize(("anonymous", "limit"), [(False, CUSTOMER_BOUND), (True, VISITOR_BOUND)])
def test_a_thousand_events_of_every_kind_stay_within_the_bound(anonymous: bool, limit: int) -> None:
    profile = folded(wild(random.Random(7), 1000, anonymous))
    assert len(codec.encode(profile)) <= limit


def test_tables_give_way_in_the_order_of_the_ladder() -> None:
    events = [
        purchase(
            START + number * DAY_MS, *(Item(f"i-{number}-{line}", price=1.0) for line in range(3)), order=f"{number}"
        )
        for number in range(100)
    ]
    profile = folded([*events, *(event("browse", START + 101 * DAY_MS + number) for number in range(300))])
    assert len(profile.event_ids) // bound.EVENT_ID_SIZE >= 128
    assert len(interactions(profile)) == 64
    assert len(top_items(profile, profile.last_time)) >= 64
    assert frequency(profile) == 100


def test_what_leaves_the_interactions_is_still_counted() -> None:
    browsed = [event("browse", START + DAY_MS + number, Item("hat")) for number in range(64)]
    profile = folded([purchase(START, Item("mug", price=1.0)), *browsed])
    assert {one.type for one in interactions(profile)} == {"browse"}
    assert [item.decayed_count for item in top_items(profile, START - START % 1000)] == pytest.approx([1.0])


def test_the_bounds_are_what_was_promised() -> None:
    assert (CUSTOMER_BOUND, VISITOR_BOUND) == (4096, 1536)


def test_a_quiet_customer_takes_little() -> None:
    assert len(codec.encode(folded([purchase(START)]))) < 300


def test_only_the_strongest_categories_stay() -> None:
    seen = [event("browse", START + number, Item("mug", item_category=f"{number}")) for number in range(30)]
    liked = [event("browse", START + 100 + number, Item("mug", item_category="tea")) for number in range(3)]
    profile = folded([*liked[:1], *seen, *liked[1:]])
    assert len(affinities(profile, profile.last_time)) == 12


def test_scalars_take_no_more_than_the_estimate_believes() -> None:
    largest: dict[str, Any] = {"mode": "backfill"}
    for field in msgspec.structs.fields(Profile):
        if field.type is int:
            times = field.name.endswith(("_at", "_time", "_due", "_first", "_last"))
            largest[field.name] = LATEST_MS if times else 2**63 - 1 if field.name in HUGE else 2**32 - 1
        elif field.type is float:
            largest[field.name] = math.pi
        elif field.type is bool:
            largest[field.name] = True
    tables = {field.name: bytes(300) for field in msgspec.structs.fields(Profile) if field.type is bytes}
    encoded = codec.encode(Profile(customer_id="c" * 40, **largest, **tables))
    assert len(encoded) - 300 * len(tables) - 40 <= bound.SCALARS
