"""The ring of a customer's newest 64 interactions: one row for each item of an event.

Rows are big-endian and begin with the time, so that they sort as bytes and the ring is the same in whatever order the
events came. What falls out is handed to the caller, who counts purchases on in ``items``. Written by the fold.
"""

from struct import Struct
from typing import Final, Literal, NamedTuple

from stream.profiles.profile import Profile

InteractionType = Literal["browse", "cart", "purchase", "return", "review"]

CAPACITY: Final = 64
ROW: Final = Struct(">IBQee")
"""Time in whole seconds, code of the type, item hash, quantity, unit price. The last two are half floats: eleven bits,
exact for whole quantities up to 2,048."""

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
_ITEM_AT: Final = 5
_ITEM: Final = Struct(">Q")
_HALF: Final = Struct(">e")
_HALF_MAX: Final = 65504.0


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
    quantity: float
    price: float


def interactions(profile: Profile) -> list[Interaction]:
    """The newest interactions, oldest first."""
    return [
        Interaction(TYPES[code], item, seconds * 1000, quantity, price)
        for seconds, code, item, quantity, price in ROW.iter_unpack(profile.interactions)
    ]


def row(time: int, code: int, item: int, quantity: float, price: float) -> bytes:
    """A row, packed. Quantities and prices beyond a half float are clipped."""
    return ROW.pack(
        time // 1000,
        code,
        item,
        quantity if quantity < _HALF_MAX else _HALF_MAX,
        price if price < _HALF_MAX else _HALF_MAX,
    )


def rounded(quantity: float) -> float:
    """A quantity as the ring keeps it, to be compared with what is there."""
    return float(_HALF.unpack(_HALF.pack(min(quantity, _HALF_MAX)))[0])


def put(ring: bytes, rows: list[bytes], capacity: int = CAPACITY) -> tuple[bytes, bytes]:
    """The ring with ``rows`` in their places, and what fell out of it, both oldest first."""
    if len(rows) == 1 and ring[-_SIZE:] <= rows[0]:
        ring += rows[0]
    else:
        merged = [ring[at : at + _SIZE] for at in range(0, len(ring), _SIZE)] + rows
        merged.sort()
        ring = b"".join(merged)
    surplus = len(ring) - capacity * _SIZE
    return (ring, b"") if surplus <= 0 else (ring[surplus:], ring[:surplus])


def without(ring: bytes, row: bytes) -> bytes:
    """The ring without one row; the ring itself where it has no such row."""
    at = _place(ring, row, 0, len(ring))
    return ring if at < 0 else ring[:at] + ring[at + _SIZE :]


def purchases_of(ring: bytes, item: int) -> list[PurchaseRow]:
    """What is in the ring of the purchases of one item, newest first."""
    found = []
    key = bytes((PURCHASE,)) + _ITEM.pack(item)
    end = len(ring)
    while (at := _place(ring, key, _ITEM_AT - 1, end)) >= 0:
        seconds, _, _, quantity, price = ROW.unpack_from(ring, at)
        found.append(PurchaseRow(ring[at : at + _SIZE], seconds * 1000, quantity, price))
        end = at
    return found


def _place(ring: bytes, part: bytes, offset: int, end: int) -> int:
    """Where the last row before ``end`` begins that has ``part`` at ``offset``; -1: none has it."""
    at = ring.rfind(part, 0, end)
    while at >= 0 and at % _SIZE != offset:
        at = ring.rfind(part, 0, at + len(part) - 1)
    return at - offset if at >= 0 else -1
