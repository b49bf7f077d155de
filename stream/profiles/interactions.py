"""The ring of a customer's newest 64 interactions: one row for each item of an event.

Rows are big-endian and begin with the time, so that they sort as bytes and the ring is the same in whatever order the
events came. What falls out is counted on in ``items``, through which the fold and ``returns`` write.
"""

from struct import Struct
from typing import Final, Literal, NamedTuple

from stream.profiles import packing
from stream.profiles.profile import Profile

InteractionType = Literal["browse", "cart", "purchase", "return", "review"]

CAPACITY: Final = 64
ROW: Final = Struct(">IBQHee")
"""Time in whole seconds, code of the type, item hash, tag of the order (0 but for purchases), quantity, unit price. The
last two are half floats: eleven bits, exact for whole quantities up to 2,048."""

BROWSE: Final = 1
CART: Final = 2
PURCHASE: Final = 3
RETURN: Final = 4
REVIEW: Final = 5
TYPES: Final[dict[int, InteractionType]] = {
    BROWSE: "browse",
    CART: "cart",
    PURCHASE: "purchase",
    RETURN: "return",
    REVIEW: "review",
}

_SIZE: Final = ROW.size
TYPE_AT: Final = 4
"""Where a row's code of the type lies."""
_TYPE_ITEM: Final = Struct(">BQ")
_TYPE_ITEM_TAG: Final = Struct(">BQH")
_HALF: Final = Struct(">e")
HALF_MAX: Final = 65504.0


class Interaction(NamedTuple):
    """What a customer did with one item."""

    type: InteractionType
    item_hash: int
    time: int
    """Epoch milliseconds, in whole seconds."""
    quantity: float
    """Units; 0 for an item taken out of the cart; for a review its rating, 0 without one."""
    price: float
    """Unit price in the configured currency, to three digits; 0 where none was given."""


class PurchaseRow(NamedTuple):
    """A purchase that is still in the ring."""

    row: bytes
    time: int
    """Epoch milliseconds, in whole seconds."""
    tag: int
    quantity: float
    price: float

    def cents(self, quantity: float) -> int:
        """What ``quantity`` units of it cost, for a return without a price: exact for unit prices below 16.00."""
        return round(round(self.price * 100) * quantity)


def interactions(profile: Profile) -> list[Interaction]:
    """The newest interactions, oldest first."""
    return [
        Interaction(TYPES[code], item, seconds * 1000, quantity, price)
        for seconds, code, item, _, quantity, price in ROW.iter_unpack(profile.interactions)
    ]


def tag_of(order: int) -> int:
    """By which the rows of an order are known: the low 16 bits of its hash."""
    return order & 0xFFFF


def row(time: int, code: int, item: int, quantity: float, price: float, tag: int = 0) -> bytes:
    """A row, packed. Quantities and prices beyond a half float are clipped."""
    if quantity > HALF_MAX:
        quantity = HALF_MAX
    if price > HALF_MAX:
        price = HALF_MAX
    return ROW.pack(time // 1000, code, item, tag, quantity, price)


def rounded(quantity: float) -> float:
    """A quantity as the ring keeps it, to be compared with what is there."""
    return float(_HALF.unpack(_HALF.pack(min(quantity, HALF_MAX)))[0])


def put(ring: bytes, rows: list[bytes]) -> bytes:
    """The ring with at least one row in its place, oldest first; the list is sorted. It may now exceed ``CAPACITY``."""
    rows.sort()
    # Nearly every event is its customer's newest: then its rows only have to be hung on.
    if ring[-_SIZE:] <= rows[0]:
        return ring + b"".join(rows)
    for row in rows:
        at = len(ring)
        while at and ring[at - _SIZE : at] > row:
            at -= _SIZE
        ring = ring[:at] + row + ring[at:]
    return ring


def without_order(ring: bytes, tag: int) -> bytes:
    """The ring without the purchases of one order."""
    rows = (ring[at : at + _SIZE] for at in range(0, len(ring), _SIZE))
    return b"".join(row for row in rows if ROW.unpack(row)[1] != PURCHASE or ROW.unpack(row)[3] != tag)


def without(ring: bytes, row: bytes) -> bytes:
    """The ring without one row; the ring itself where it has no such row."""
    at = packing.place(ring, row, _SIZE)
    return ring if at < 0 else ring[:at] + ring[at + _SIZE :]


def purchases_of(ring: bytes, item: int, tag: int | None = None) -> list[PurchaseRow]:
    """The purchases of one item, of one order or (tag None) of any, as far as they are in the ring; newest first."""
    found = []
    key = _TYPE_ITEM.pack(PURCHASE, item) if tag is None else _TYPE_ITEM_TAG.pack(PURCHASE, item, tag)
    end = len(ring)
    while (at := packing.last_place(ring, key, _SIZE, TYPE_AT, end)) >= 0:
        seconds, _, _, owner, quantity, price = ROW.unpack_from(ring, at)
        found.append(PurchaseRow(ring[at : at + _SIZE], seconds * 1000, owner, quantity, price))
        end = at
    return found
