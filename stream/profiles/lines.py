"""The products of one event: quantities, amounts in cents of the configured currency, and hashes.

Called by the fold before it changes anything, so that an unknown currency leaves the profile as it was.
"""

from typing import Final

import msgspec

from stream.contracts.emission import Rejected
from stream.contracts.events import Event, Item
from stream.contracts.ids import item_hash
from stream.profiles.baskets import UNITS
from stream.profiles.categories import category_hash
from stream.profiles.settings import ProfileSettings

_CENTS: Final = 100


class Line(msgspec.Struct, frozen=True, gc=False):
    """One product of an event, all its lines together."""

    item: int
    """Hash of the item."""
    quantity: float
    cents: int | None
    """Amount of the line in the configured currency; None where no price came with it."""
    category: int
    """Hash of the category; 0: none came with it."""

    @property
    def units(self) -> int:
        """Quantity in thousandths, as baskets count it."""
        return round(self.quantity * UNITS)

    @property
    def price(self) -> float:
        """Price of one unit; 0.0 where none is known."""
        return (self.cents or 0) / _CENTS / self.quantity


def rate(event: Event, settings: ProfileSettings) -> float:
    """Units of the configured currency for one of the event's.

    Raises:
        Rejected: ``unknown_currency``.
    """
    known = settings.rate(event.currency)
    if known is None:
        raise Rejected(
            "unknown_currency",
            f"no rate from {event.currency} to {settings.currency}: set exchange_rates.{event.currency}, then re-drive",
            "$.currency",
        )
    return known


def lines(items_of_event: list[Item], exchange_rate: float) -> list[Line]:
    """The products of an event. Amounts are rounded to the cent line by line, as on an invoice."""
    cents_per_price = exchange_rate * _CENTS
    if len(items_of_event) == 1:
        return [_line(items_of_event[0], cents_per_price)]
    found: dict[int, Line] = {}
    for item in items_of_event:
        line = _line(item, cents_per_price)
        same = found.get(line.item)
        found[line.item] = line if same is None else _together(same, line)
    return list(found.values())


def _line(item: Item, cents_per_price: float) -> Line:
    quantity = 1.0 if item.quantity is None else item.quantity
    cents = None if item.price is None else round(item.price * quantity * cents_per_price)
    category = category_hash(item.item_category) if item.item_category else 0
    return Line(item_hash(item.item_id), quantity, cents, category)


def _together(one: Line, other: Line) -> Line:
    priced = one.cents is not None or other.cents is not None
    cents = (one.cents or 0) + (other.cents or 0) if priced else None
    return Line(one.item, one.quantity + other.quantity, cents, one.category or other.category)
