"""A thousand customers of five kinds, with everything that could tell training from the live path: returns, events that
come late and out of order, single orders, wholesale quantities, and events with as many fields empty as may be.

A function of the seed alone. Used by ``test_parity.py``.
"""

from random import Random
from typing import Final, NamedTuple

from stream.contracts.events import Event, Item, Review
from stream.contracts.times import DAY_MS, HOUR_MS, MINUTE_MS
from tests.unit.serving.recorded_shop import ITEMS, START, item

STRATA: Final = ("returns", "late", "one_time", "wholesale", "empty")
EACH: Final = 200
_FIRST: Final = START + 60 * DAY_MS
_SPAN_DAYS: Final = 60
_LATE_AT_MOST_MS: Final = 60 * HOUR_MS
"""Within the lateness that profiles allow: what comes later is refused by the live path, and never part of a score."""


class Arriving(NamedTuple):
    """An event and when it reaches the log, epoch milliseconds."""

    at: int
    event: Event


def customers() -> list[str]:
    """Ids; each begins with its stratum."""
    return [f"{stratum}-{number}" for stratum in STRATA for number in range(EACH)]


def events(seed: int) -> list[Event]:
    """All events of all customers, in the order in which they reach the log."""
    arriving: list[Arriving] = []
    for customer in customers():
        stratum = customer.partition("-")[0]
        draw = Random(f"{seed}:{customer}")
        for event in _history(customer, stratum, draw):
            delay = draw.randrange(_LATE_AT_MOST_MS) if stratum == "late" and draw.random() < 0.5 else 0
            arriving.append(Arriving(int(event.time) + delay, event))
    arriving.sort(key=lambda each: (each.at, each.event.event_id))
    return [event for _, event in arriving]


def _history(customer: str, stratum: str, draw: Random) -> list[Event]:
    orders = 1 if stratum == "one_time" else draw.randint(2, 3)
    found: list[Event] = []

    def add(kind: str, time: int, **fields: object) -> None:
        found.append(Event(f"{customer}-{len(found)}", kind, time, customer, **fields))  # type: ignore[arg-type]

    for day in sorted(draw.sample(range(_SPAN_DAYS), orders)):
        time = _FIRST + day * DAY_MS + draw.randrange(DAY_MS)
        lines = [
            _line(draw, stratum) for _ in range(draw.randint(12, 30) if stratum == "wholesale" else draw.randint(1, 5))
        ]
        if stratum == "empty":
            add("purchase", time, items=lines)
        else:
            add("purchase", time, items=lines, transaction_id=f"{customer}-o{day}", currency="GBP", country="GB")
        if stratum == "returns":
            named = {"transaction_id": f"{customer}-o{day}"} if draw.random() < 0.7 else {}
            back = lines if draw.random() < 0.3 else lines[:1]
            add("return", time + draw.randrange(30) * DAY_MS + HOUR_MS, items=back, **named)
        for visit in range(draw.randrange(2)):
            add("browse", time + (visit + 1) * 5 * MINUTE_MS, items=[Item(lines[0].item_id)])
        if draw.random() < 0.3:
            add("cart", time + 2 * DAY_MS, items=[Item(lines[0].item_id)], action="add")
            add("cart", time + 2 * DAY_MS + MINUTE_MS, action="clear")
        if draw.random() < 0.3:
            review = Review() if stratum == "empty" else Review(rating=float(draw.randint(1, 5)))
            add("review", time + 3 * DAY_MS, items=[Item(lines[0].item_id)], review=review)
    return found


def _line(draw: Random, stratum: str) -> Item:
    # Half of the items are unknown to the catalogue.
    line = item(draw.randrange(2 * ITEMS))
    if stratum == "empty":
        return Item(line.item_id, price=line.price)
    if stratum == "wholesale":
        return Item(line.item_id, price=line.price, quantity=float(draw.randint(100, 6_000)))
    return line
