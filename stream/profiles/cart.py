"""The open cart: for each item the last word said about it, by time and then by event id, in whatever order it came.

An item's quantity is what its last event said; adding does not sum, because a sum of late and repeated adds would
depend on their order. Emptying the cart, and buying, end all that was said before. Written by the fold.
"""

from struct import Struct
from typing import Final, NamedTuple

from stream.profiles import packing
from stream.profiles.lines import Line
from stream.profiles.profile import Profile

CAPACITY: Final = 16
ROW: Final = Struct("<QqIff")
"""Item hash, time in milliseconds, hash of the event, quantity (0: taken out), unit price."""

_SIZE: Final = ROW.size
_KEY: Final = Struct("<Q")


class CartItem(NamedTuple):
    """An item that lies in the cart."""

    item_hash: int
    quantity: float
    price: float
    """Unit price in the configured currency; 0 where none was given."""
    time: int
    """When it was put there. Epoch milliseconds."""


def cart_items(profile: Profile) -> list[CartItem]:
    """What lies in the cart, oldest first."""
    rows = sorted(ROW.iter_unpack(profile.cart), key=lambda entry: (entry[1], entry[2], entry[0]))
    return [CartItem(item, quantity, price, time) for item, time, _, quantity, price in rows if quantity > 0]


def is_open(profile: Profile) -> bool:
    """Whether anything lies in the cart."""
    return any(quantity > 0 for _, _, _, quantity, _ in ROW.iter_unpack(profile.cart))


def write(profile: Profile, said: list[Line], taken_out: bool, time: int, by: int, forget_before: int) -> None:
    """Takes in what an event said of some items.

    Args:
        profile: changed in place.
        said: one line for each item.
        taken_out: whether they were, instead of put in.
        time: of the event.
        by: 32-bit hash of the event's id.
        forget_before: where room is needed, older rows of items taken out go; no event that old can still come.
    """
    if (time, by) <= (profile.cart_cleared_at, profile.cart_cleared_by):
        return
    table = profile.cart
    for line in said:
        row = ROW.pack(line.item, time, by, 0.0 if taken_out else line.quantity, line.price)
        at = packing.place(table, row[: _KEY.size], _SIZE)
        if at < 0:
            table += row
        elif ROW.unpack_from(table, at)[1:3] <= (time, by):
            table = table[:at] + row + table[at + _SIZE :]
    if len(table) > CAPACITY * _SIZE:
        rows = ROW.iter_unpack(table)
        table = b"".join(ROW.pack(*entry) for entry in rows if entry[3] > 0 or entry[1] >= forget_before)
        table = newest(table, CAPACITY)
    profile.cart = table


def clear(profile: Profile, time: int, by: int) -> None:
    """Ends everything that was said about the cart before."""
    cleared = (time, by)
    if cleared <= (profile.cart_cleared_at, profile.cart_cleared_by):
        return
    profile.cart_cleared_at, profile.cart_cleared_by = cleared
    if profile.cart:
        rows = ROW.iter_unpack(profile.cart)
        profile.cart = b"".join(ROW.pack(*entry) for entry in rows if (entry[1], entry[2]) > cleared)


def newest(table: bytes, capacity: int) -> bytes:
    """The ``capacity`` rows written last."""
    if len(table) <= capacity * _SIZE:
        return table
    rows = sorted(ROW.iter_unpack(table), key=lambda entry: (entry[1], entry[2], entry[0]))
    return b"".join(ROW.pack(*entry) for entry in rows[-capacity:])
