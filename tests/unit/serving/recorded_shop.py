"""A small made-up shop with a year and a half of purchases, for tests of serving. The same seed gives the same
events."""

import random

from stream.contracts.catalogue import CatalogueItem
from stream.contracts.events import Event, Item, Review
from stream.contracts.times import DAY_MS

START = 1_262_304_000_000
"""2010-01-01."""

COLOURS = ("RED", "BLUE", "GREEN", "PINK")
THINGS = ("TEA CUP", "LANTERN", "CAKE STAND", "CLOCK", "BUNTING", "LUNCH BAG", "CANDLE", "DOORMAT")


def item(number: int) -> Item:
    colour, thing = COLOURS[number % len(COLOURS)], THINGS[number // len(COLOURS) % len(THINGS)]
    return Item(
        item_id=f"{number:05d}", item_name=f"{colour} {thing}", price=1.25 + number % 7, quantity=1.0 + number % 3
    )


ITEMS = 32


def shop_items(count: int = ITEMS) -> list[CatalogueItem]:
    return [CatalogueItem(item_id=item(n).item_id, item_name=item(n).item_name) for n in range(count)]


def shop_events(customers: int = 40, days: int = 540, seed: int = 7) -> list[Event]:
    """Purchases with now and then a browse, a review or a return, sorted by time. Half of the customers stop early."""
    randomness = random.Random(seed)
    events: list[Event] = []
    for customer in range(customers):
        gap = randomness.uniform(8, 60)
        end = days if customer % 2 else randomness.uniform(60, days)
        day = randomness.uniform(0, 60)
        while day < end:
            lines = [item(n) for n in sorted({randomness.randrange(ITEMS) for _ in range(randomness.randint(1, 6))})]
            time = START + int(day * DAY_MS)
            number = len(events)
            events.append(
                Event(
                    f"e{number}",
                    "purchase",
                    time,
                    str(customer),
                    transaction_id=f"t{number}",
                    currency="GBP",
                    items=lines,
                )
            )
            if randomness.random() < 0.2:
                events.append(
                    Event(f"b{number}", "browse", time + 3_600_000, str(customer), items=[item(number % ITEMS)])
                )
            if randomness.random() < 0.1:
                events.append(
                    Event(
                        f"v{number}", "review", time + DAY_MS, str(customer), items=lines[:1], review=Review(rating=4.0)
                    )
                )
            if randomness.random() < 0.1:
                events.append(
                    Event(
                        f"r{number}",
                        "return",
                        time + 2 * DAY_MS,
                        str(customer),
                        transaction_id=f"t{number}",
                        items=lines[:1],
                    )
                )
            day += randomness.expovariate(1 / gap)
    return sorted(events, key=lambda event: event.time)
