"""A small shop for the tests: events with few words, and strategies that draw them."""

from collections.abc import Iterable
from typing import Any

from hypothesis import strategies as st

from stream.contracts.emission import Origin, Rejected
from stream.contracts.events import Consent, Engagement, Event, Item, Review
from stream.contracts.scores import ScoreRequest
from stream.contracts.times import DAY_MS, HOUR_MS
from stream.profiles.fold import Folded, fold
from stream.profiles.profile import Profile
from stream.profiles.returns import PENDING_CAPACITY
from stream.profiles.settings import ProfileSettings

START = 1_300_000_000_000
"""2011-03-13."""
SETTINGS = ProfileSettings()


def origin(offset: int = 0) -> Origin:
    return Origin("customer.events.v1", 0, offset)


def event(type_: str, time: int = START, *items: Item, **fields: Any) -> Event:
    known = {"event_id": f"{type_}-{time}", "customer_id": "c-1"} | fields
    return Event(type=type_, time=time, items=list(items), **known)  # type: ignore[arg-type]


def purchase(time: int, *items: Item, order: str = "", **fields: Any) -> Event:
    return event("purchase", time, *(items or (Item("mug", price=2.5, quantity=4),)), transaction_id=order, **fields)


def folded(
    events: Iterable[Event],
    profile: Profile | None = None,
    settings: ProfileSettings = SETTINGS,
    redriven: bool = False,
) -> Profile:
    """The profile after all of ``events``, one offset each."""
    for offset, one in enumerate(events):
        profile = step(profile, one, offset, settings, redriven).profile
    assert profile is not None
    return profile


def step(
    profile: Profile | None,
    one: Event,
    offset: int = 0,
    settings: ProfileSettings = SETTINGS,
    redriven: bool = False,
) -> Folded:
    assert isinstance(one.time, int)
    return fold(profile, one, one.time, origin(offset), settings, redriven)


def requests(
    events: Iterable[Event], profile: Profile | None = None, settings: ProfileSettings = SETTINGS
) -> list[ScoreRequest]:
    """What was asked for on the way; what is refused asks for nothing."""
    asked = []
    for offset, one in enumerate(events):
        try:
            done = step(profile, one, offset, settings)
        except Rejected:
            continue
        profile = done.profile
        if done.request is not None:
            asked.append(done.request)
    return asked


ITEM_IDS = tuple(f"item-{number}" for number in range(12))
items = st.builds(
    Item,
    item_id=st.sampled_from(ITEM_IDS),
    item_category=st.sampled_from(["", "kitchen", "garden", "toys"]),
    price=st.integers(0, 20_000).map(lambda cents: cents / 100),
    quantity=st.integers(1, 50).map(float),
)


def _distinct(drawn: list[Item]) -> list[Item]:
    return list({item.item_id: item for item in drawn}.values())


@st.composite
def orders_with_returns(draw: st.DrawFn, number: int, window: int) -> list[Event]:
    """One order, in one event or two with different items, and what is returned of it."""
    time = START + draw(st.integers(0, window))
    bought = draw(st.lists(items, min_size=1, max_size=4).map(_distinct))
    cut = draw(st.integers(1, len(bought)))
    name = f"order-{number}"
    parts = [bought[:cut], bought[cut:]] if cut < len(bought) else [bought]
    events = [
        event("purchase", time + index * 60_000, *part, event_id=f"{name}-{index}", transaction_id=name)
        for index, part in enumerate(parts)
    ]
    for index, item in enumerate(bought):
        left = int(item.quantity or 0)
        for again in range(draw(st.sampled_from([0, 0, 1, 2]))):
            quantity = draw(st.integers(1, left)) if left else 0
            if not quantity:
                break
            left -= quantity
            back = Item(item.item_id, item_category=item.item_category, price=item.price, quantity=float(quantity))
            events.append(
                event(
                    "return",
                    time + draw(st.integers(120_000, DAY_MS)),
                    back,
                    event_id=f"{name}-return-{index}-{again}",
                    transaction_id=name,
                )
            )
    return events


@st.composite
def other_events(draw: st.DrawFn, number: int, window: int) -> Event:
    time = START + draw(st.integers(0, window))
    type_ = draw(st.sampled_from(["browse", "cart", "review", "consent", "engagement", "identify"]))
    some = draw(st.lists(items, min_size=1, max_size=2).map(_distinct))
    fields: dict[str, Any] = {"event_id": f"{type_}-{number}"}
    match type_:
        case "cart":
            fields["action"] = draw(st.sampled_from(["add", "set", "remove", "clear"]))
        case "review":
            fields["review"] = Review(rating=float(draw(st.integers(1, 5))))
        case "consent":
            choice = st.sampled_from([None, "granted", "denied"])
            fields["consent"] = Consent(personalization=draw(choice), marketing=draw(choice))
        case "engagement":
            fields["engagement"] = Engagement(draw(st.sampled_from(["sent", "opened", "clicked", "unsubscribed"])))
        case "identify":
            fields["anonymous_id"] = draw(st.sampled_from(["v-1", "v-2"]))
        case _:
            pass
    return event(type_, time, *([] if type_ in ("consent", "engagement", "identify") else some), **fields)


@st.composite
def histories(draw: st.DrawFn, window: int = 46 * HOUR_MS) -> list[Event]:
    """Events of one customer within the allowed lateness, within the capacities, in order of time."""
    events: list[Event] = []
    for number in range(draw(st.integers(0, 3))):
        events += draw(orders_with_returns(number, window))
    returned = [one for one in events if one.type == "return"]
    # Any permutation may put all of them, a line each, before their purchases.
    beyond = {one.event_id for one in returned[PENDING_CAPACITY:]}
    events = [one for one in events if one.event_id not in beyond]
    events += [draw(other_events(number, window)) for number in range(draw(st.integers(0, 12)))]
    return sorted(events, key=lambda one: (one.time, one.event_id))
