"""Makes events that nobody did, and marks every one `simulated`: visits around real purchases, and load of any size.

The same seed gives the same events, on every machine. What is drawn for a purchase depends on that purchase alone, so
a shorter file is the beginning of a longer one. Called by `tidemark simulate`, the demo and the benchmarks.
"""

from __future__ import annotations

import heapq
import math
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from random import Random
from typing import Final, NamedTuple

import msgspec

from stream.contracts.events import Engagement, EngagementAction, Event, Item, Review
from stream.contracts.times import EPOCH, SECOND_MS, to_epoch_ms
from stream.operations.wording import product_name, review_text

LEAD: Final = timedelta(hours=36)
"""Visits begin at most this long before the purchase that they lead to."""

_BROWSED_SHARE: Final = 0.35
"""Share of an order's lines that were looked at online before."""
_BROWSED_AT_MOST: Final = 6
_CARTED_SHARE: Final = 0.6
_VISIT_SHARE: Final = 0.5
"""Share of purchases that are followed by a visit that bought nothing."""
_REVIEW_SHARE: Final = 0.12
_NEWSLETTER_SHARE: Final = 0.2
_ACTIONS: Final[tuple[EngagementAction, ...]] = ("sent", "opened", "clicked")
_READERS: Final = (0.65, 0.25, 0.1)
"""Shares of newsletters that are not read, that are opened, and that are opened and clicked."""
_MOODS: Final = ((5, 0.5), (4, 0.3), (3, 0.1), (2, 0.06), (1, 0.04))
"""Ratings and their shares, as they are in reviews of clothing (Agarap 2018)."""


def around(events: Iterable[Event], seed: int) -> Iterator[Event]:
    """The events, and simulated visits, carts, reviews and newsletters around their purchases, in order of time.

    Args:
        events: sorted by time.
        seed: another seed is another draw.
    """
    waiting: list[tuple[int, int, Event]] = []
    count = 0
    for event in events:
        now = to_epoch_ms(event.time)
        while waiting and waiting[0][0] < now - LEAD // timedelta(milliseconds=1):
            yield heapq.heappop(waiting)[2]
        drawn = _around_purchase(event, seed) if event.type == "purchase" else iter(())
        for made in (event, *drawn):
            count += 1
            heapq.heappush(waiting, (to_epoch_ms(made.time), count, made))
    while waiting:
        yield heapq.heappop(waiting)[2]


def _around_purchase(purchase: Event, seed: int) -> Iterator[Event]:
    # A text seed goes through SHA-512, which is the same on every machine and version; hash() of a tuple is not.
    draw = Random(f"{seed}:{purchase.event_id}")  # noqa: S311 - a simulation, no secret
    bought = EPOCH + timedelta(milliseconds=to_epoch_ms(purchase.time))
    made = _Numbered(purchase)
    moment = bought - timedelta(minutes=draw.uniform(20, LEAD / timedelta(minutes=1)))
    looked_at = [item for item in purchase.items if draw.random() < _BROWSED_SHARE][:_BROWSED_AT_MOST]
    for item in looked_at:
        moment = min(moment + timedelta(seconds=draw.uniform(15, 240)), bought)
        yield made.event("browse", moment, items=[_shown(item)], channel="web")
        if draw.random() < _CARTED_SHARE:
            moment = min(moment + timedelta(seconds=draw.uniform(5, 60)), bought)
            yield made.event("cart", moment, items=[_wanted(item)], action="add", channel="web")
    if draw.random() < _VISIT_SHARE:
        moment = bought + timedelta(days=draw.expovariate(1 / 12))
        for item in draw.sample(purchase.items, min(len(purchase.items), draw.randint(1, 3))):
            moment += timedelta(seconds=draw.uniform(15, 240))
            yield made.event("browse", moment, items=[_shown(item)], channel="web")
    if draw.random() < _REVIEW_SHARE:
        item = draw.choice(purchase.items)
        rating = draw.choices([rating for rating, _ in _MOODS], [share for _, share in _MOODS])[0]
        moment = bought + timedelta(days=draw.uniform(3, 20))
        review = Review(rating=rating, text=review_text(rating, item.item_name, draw), language="en")
        yield made.event("review", moment, items=[_shown(item)], review=review, channel="web")
    if draw.random() < _NEWSLETTER_SHARE:
        moment = bought + timedelta(days=draw.uniform(7, 30))
        for action in _ACTIONS[: draw.choices((1, 2, 3), _READERS)[0]]:
            yield made.event("engagement", moment, engagement=Engagement(action=action, channel="email"))
            moment += timedelta(minutes=draw.uniform(1, 600))


class _Numbered:
    """Simulated events of one purchase, with ids that follow from the purchase's."""

    def __init__(self, purchase: Event) -> None:
        self._purchase = purchase
        self._count = 0

    def event(self, kind: str, moment: datetime, **fields: object) -> Event:
        self._count += 1
        return msgspec.convert(
            {
                "event_id": f"{self._purchase.event_id}-sim-{self._count}",
                "type": kind,
                "time": moment.replace(microsecond=0),
                "customer_id": self._purchase.customer_id,
                "currency": self._purchase.currency,
                "country": self._purchase.country,
                "simulated": True,
                **fields,
            },
            Event,
        )


def _shown(item: Item) -> Item:
    return Item(item_id=item.item_id, item_name=item.item_name, item_group_id=item.item_group_id)


def _wanted(item: Item) -> Item:
    return msgspec.structs.replace(item, quantity=item.quantity or 1)


Mix = Mapping[str, float]
"""Shares of the types of events."""

BUSY: Final[Mix] = {
    "browse": 0.62,
    "cart": 0.15,
    "purchase": 0.12,
    "review": 0.04,
    "engagement": 0.05,
    "return": 0.02,
}
"""Much of everything, so that every part has work."""

CLICKSTREAM: Final[Mix] = {
    "browse": 0.945,
    "cart": 0.025,
    "purchase": 0.015,
    "review": 0.003,
    "engagement": 0.01,
    "return": 0.002,
}
"""As shops see it: REES46's multi-category store had 97.8 % views, 1.0 % carts and 1.2 % purchases in October 2019; and
some of what it does not record."""


class Load(NamedTuple):
    """A load of events without any real ones, such as benchmarks need."""

    customers: int
    events: int
    seed: int
    start: datetime = datetime(2025, 1, 1, tzinfo=UTC)
    span: timedelta = timedelta(days=90)
    """Event time between the first and the last event."""
    items: int = 500
    """Products of the shop."""
    skew: float = 0.6
    """Zipf exponent of the customers' activity: the k-th customer's share falls with k to the power of minus this. 0:
    all are alike."""
    most_lines: int = 4
    """Lines of a purchase."""
    mix: Mix = BUSY


def synthetic(load: Load) -> Iterator[Event]:
    """The events of ``load`` in order of time. A return undoes the same customer's last purchase, and is a browse
    without one."""
    draw = Random(f"synthetic:{load.seed}")  # noqa: S311 - a simulation, no secret
    shop = [_product(index) for index in range(load.items)]
    shares = list(accumulate((rank + 1) ** -load.skew for rank in range(load.customers)))
    kinds = draw.choices(list(load.mix), list(load.mix.values()), k=load.events)
    start = to_epoch_ms(load.start)
    step = load.span / timedelta(milliseconds=1) / max(load.events, 1)
    last_orders: dict[int, Event] = {}
    for number, kind in enumerate(kinds):
        customer = bisect_right(shares, draw.random() * shares[-1], hi=load.customers - 1)
        moment = start + math.floor(number * step)
        lines = draw.randint(1, load.most_lines) if kind == "purchase" else 1
        chosen = [_shown_or_wanted(shop, kind, draw) for _ in range(lines)]
        event = Event(
            event_id=f"{load.seed}-{number}",
            type="browse",
            time=EPOCH + timedelta(milliseconds=moment),
            customer_id=f"c{customer}",
            session_id=f"s{customer}-{moment // (1800 * SECOND_MS)}",
            currency="GBP",
            items=chosen,
            channel="web",
            simulated=True,
        )
        yield _of_kind(event, kind, last_orders, customer, draw)


def _of_kind(event: Event, kind: str, last_orders: dict[int, Event], customer: int, draw: Random) -> Event:
    match kind:
        case "cart":
            event.type, event.action = "cart", "add"
        case "purchase":
            event.type, event.transaction_id = "purchase", f"t{event.event_id}"
            last_orders[customer] = event
        case "return" if (order := last_orders.pop(customer, None)) is not None:
            event.type, event.transaction_id, event.items = "return", order.transaction_id, order.items[:1]
        case "review":
            rating = draw.choices([rating for rating, _ in _MOODS], [share for _, share in _MOODS])[0]
            event.type = "review"
            event.review = Review(
                rating=rating, text=review_text(rating, event.items[0].item_name, draw), language="en"
            )
        case "engagement":
            event.type, event.items = "engagement", []
            event.engagement = Engagement(action=draw.choice(["delivered", "opened", "clicked"]), channel="email")
    return event


def _product(index: int) -> Item:
    return Item(
        item_id=f"p{index:05}",
        item_name=product_name(index),
        item_group_id=f"g{index // 3:05}",
        item_category=("Kitchen", "Garden", "Bedroom", "Toys", "Stationery", "Lighting")[index % 6],
        price=round(0.85 + (index * 37 % 900) / 60, 2),
    )


def _shown_or_wanted(shop: list[Item], kind: str, draw: Random) -> Item:
    item = shop[min(int(len(shop) * draw.random() ** 2), len(shop) - 1)]
    if kind in ("cart", "purchase", "return"):
        return msgspec.structs.replace(item, quantity=draw.randint(1, 6))
    return item
