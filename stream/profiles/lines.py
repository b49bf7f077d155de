"""The products of one event: quantities, amounts in cents of the configured currency, and hashes.

Called by the fold before it changes anything, so that an unknown currency leaves the profile as it was.
"""

from functools import lru_cache
from typing import Final

import msgspec

from stream.contracts.emission import Rejected
from stream.contracts.events import Event
from stream.contracts.ids import item_hash
from stream.profiles.baskets import UNITS
from stream.profiles.categories import category_hash
from stream.profiles.settings import ProfileSettings

CENTS: Final = 100


class Line(msgspec.Struct, frozen=True, gc=False):
    """One product of an event, all its lines together."""

    item: int
    """Hash of the item."""
    quantity: float
    cents: int | None
    """Amount of the line in the configured currency; None where no price came with it."""
    price: float
    """Price of one unit; 0.0 where none is known."""
    category: int
    """Hash of the category; 0: none came with it."""

    @property
    def units(self) -> int:
        """Quantity in thousandths, as baskets count it."""
        return round(self.quantity * UNITS)


def priced(item: int, quantity: float, cents: int | None, category: int) -> Line:
    """A line with the price of a unit that follows from its amount."""
    return Line(item, quantity, cents, cents / CENTS / quantity if cents else 0.0, category)


def lines(event: Event, settings: ProfileSettings) -> list[Line]:
    """The products of an event. Amounts are rounded to the cent line by line, as on an invoice.

    Raises:
        Rejected: ``unknown_currency``.
    """
    rate = settings.rate(event.currency)
    if rate is None:
        raise Rejected(
            "unknown_currency",
            f"no rate from {event.currency} to {settings.currency}: set exchange_rates.{event.currency}, then re-drive",
            "$.currency",
        )
    cents_per_price = rate * CENTS
    products = [
        line_of(item.item_id, item.quantity, item.price, item.item_category, cents_per_price) for item in event.items
    ]
    return products if len(products) == 1 else each_once(products)


@lru_cache(maxsize=1 << 16)
def line_of(item_id: str, quantity: float | None, price: float | None, category: str, cents_per_price: float) -> Line:
    """A product; remembered, because most events look at a product that others have just looked at."""
    if quantity is None:
        quantity = 1.0
    cents = None if price is None else round(price * quantity * cents_per_price)
    return priced(item_hash(item_id), quantity, cents, category_hash(category) if category else 0)


def each_once(products: list[Line]) -> list[Line]:
    """Each item once, the lines of an item added up."""
    found: dict[int, Line] = {}
    for line in products:
        same = found.get(line.item)
        found[line.item] = line if same is None else _together(same, line)
    return list(found.values())


def _together(one: Line, other: Line) -> Line:
    unpriced = one.cents is None and other.cents is None
    cents = None if unpriced else (one.cents or 0) + (other.cents or 0)
    return priced(one.item, one.quantity + other.quantity, cents, one.category or other.category)
