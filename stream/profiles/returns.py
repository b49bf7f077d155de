"""Returns undo what they return: revenue, baskets, counts and items, decayed as of the purchase, not of the return.

A return that names an order which has not come yet opens the order's basket with what is missing from it, and its lines
wait as pending until their purchase comes. Without a name, the newest purchase of the item is meant. What stays of an
order returned in full is that a return happened. Called by the fold and by ``purchases``.
"""

from struct import Struct
from typing import Final, NamedTuple

from stream.contracts.times import DAY_MS
from stream.profiles import baskets, categories, decay, interactions, items
from stream.profiles.baskets import Basket
from stream.profiles.interactions import PurchaseRow
from stream.profiles.lines import Line, priced
from stream.profiles.profile import Profile

PENDING_CAPACITY: Final = 8
PENDING_ROW: Final = Struct("<IQqdqI")
"""Order hash, item hash, time of the return, quantity, cents (-1: no price came), category hash."""

_NO_PRICE: Final = -1


class _Pending(NamedTuple):
    """A line that was returned before its purchase was seen."""

    order: int
    item: int
    time: int
    quantity: float
    cents: int
    category: int

    @property
    def line(self) -> Line:
        return priced(self.item, self.quantity, None if self.cents == _NO_PRICE else self.cents, self.category)


def give_back(profile: Profile, order: int, time: int, returned: list[Line], forget_before: int) -> None:
    """Folds a return.

    Args:
        profile: changed in place.
        order: 32-bit hash of the ``transaction_id``; 0 where the return names none.
        time: of the return.
        returned: what came back; empty for the order as a whole.
        forget_before: pending lines older than this are dropped: their purchase can no longer come.
    """
    if order and not returned:
        _whole_order(profile, order, time)
    for line in returned:
        if order:
            _named(profile, order, line, time, forget_before)
        else:
            _unnamed(profile, line, time)


def settle(profile: Profile, order: int) -> None:
    """Undoes those lines of an order, of which a part was just folded, that were returned before they came."""
    basket = baskets.find(profile, order)
    if basket is not None and basket.returned_whole:
        profile.interactions = interactions.without_order(profile.interactions, interactions.tag_of(order))
    waiting = b""
    for entry in PENDING_ROW.iter_unpack(profile.pending_returns):
        pending = _Pending._make(entry)
        row = _row_of(profile, order, pending.item) if pending.order == order else None
        if row is None:
            waiting += PENDING_ROW.pack(*entry)
            continue
        profile.interactions = interactions.without(profile.interactions, _return_row(pending.line, pending.time))
        _undo_line(profile, row, pending.line)
        if pending.cents == _NO_PRICE:
            basket = _reduce(profile, basket, order, pending.time, row.cents(pending.quantity), 0)
    profile.pending_returns = waiting


def _whole_order(profile: Profile, order: int, time: int) -> None:
    basket = baskets.find(profile, order)
    if basket is None:
        baskets.begin(profile, order, time, 0, baskets.RETURNED_WHOLE)
    elif not basket.returned_whole:
        baskets.replace(profile, basket, basket._replace(units=basket.units + baskets.RETURNED_WHOLE))
        profile.interactions = interactions.without_order(profile.interactions, interactions.tag_of(order))


def _named(profile: Profile, order: int, line: Line, time: int, forget_before: int) -> None:
    basket = baskets.find(profile, order)
    row = _row_of(profile, order, line.item)
    cents = row.cents(line.quantity) if line.cents is None and row is not None else line.cents or 0
    bought_at = time if basket is None else basket.time
    _reduce(profile, basket, order, time, cents, line.units)
    if row is not None:
        _undo_line(profile, row, line)
    elif items.last_bought(profile.items, line.item):
        _undo_counted(profile, line, bought_at)
    else:
        _keep_row(profile, line, time)
        _remember(profile, order, line, time, forget_before)


def _unnamed(profile: Profile, line: Line, time: int) -> None:
    rows = [row for row in interactions.purchases_of(profile.interactions, line.item) if row.time <= time]
    large_enough = [row for row in rows if row.quantity >= interactions.rounded(line.quantity)]
    if not rows:
        _without_revenue(profile, line.cents or 0, time)
        counted = items.last_bought(profile.items, line.item)
        if counted:
            # At the end of that day: rather a little too much than a rest of what is gone.
            _undo_counted(profile, line, counted + DAY_MS - 1)
        _keep_row(profile, line, time)
        return
    row = (large_enough or rows)[0]
    cents = row.cents(line.quantity) if line.cents is None else line.cents
    basket = next((kept for kept in baskets.baskets(profile) if interactions.tag_of(kept.order) == row.tag), None)
    if basket is None:
        _without_revenue(profile, cents, row.time)
    else:
        _reduce(profile, basket, basket.order, time, cents, line.units)
    _undo_line(profile, row, line)


def _reduce(profile: Profile, basket: Basket | None, order: int, time: int, cents: int, units: int) -> Basket:
    if basket is None:
        reduced = Basket(order, time, -cents, -units)
        baskets.begin(profile, *reduced)
    else:
        reduced = basket._replace(time=min(basket.time, time), cents=basket.cents - cents, units=basket.units - units)
        baskets.replace(profile, basket, reduced)
    return reduced


def _undo_line(profile: Profile, row: PurchaseRow, line: Line) -> None:
    """Shrinks the row of a purchase, or takes it away with its category when nothing of it is left."""
    ring = interactions.without(profile.interactions, row.row)
    left = row.quantity - interactions.rounded(line.quantity)
    if left > 0:
        kept = interactions.row(row.time, interactions.PURCHASE, line.item, left, row.price, row.tag)
        ring = interactions.put(ring, [kept])
    elif line.category:
        weight = decay.weight(row.time, profile.last_time, categories.HALF_LIFE)
        profile.categories = categories.added(profile.categories, line.category, -categories.BOUGHT * weight)
    profile.interactions = ring


def _undo_counted(profile: Profile, line: Line, bought_at: int) -> None:
    # How much of the line was bought is no longer known: it is taken back whole.
    second = bought_at - bought_at % 1000
    profile.items = items.take_back(profile.items, line.item, second, profile.last_time)


def _without_revenue(profile: Profile, cents: int, time: int) -> None:
    """Takes revenue back that belongs to no basket known one by one."""
    if cents:
        profile.revenue_cents -= cents
        weights = decay.weights(time, profile.last_time)
        profile.purchase_amounts = decay.added(profile.purchase_amounts, weights, -cents)
        baskets.book(profile, time, -cents)


def _row_of(profile: Profile, order: int, item: int) -> PurchaseRow | None:
    rows = interactions.purchases_of(profile.interactions, item, interactions.tag_of(order))
    return rows[0] if rows else None


def _return_row(line: Line, time: int) -> bytes:
    return interactions.row(time, interactions.RETURN, line.item, line.quantity, line.price)


def _keep_row(profile: Profile, line: Line, time: int) -> None:
    items.interact(profile, [_return_row(line, time)])


def _remember(profile: Profile, order: int, line: Line, time: int, forget_before: int) -> None:
    cents = _NO_PRICE if line.cents is None else line.cents
    rows = [entry for entry in PENDING_ROW.iter_unpack(profile.pending_returns) if entry[2] >= forget_before]
    rows.append((order, line.item, time, line.quantity, cents, line.category))
    rows.sort(key=lambda entry: (entry[2], entry))
    profile.pending_returns = b"".join(PENDING_ROW.pack(*entry) for entry in rows[-PENDING_CAPACITY:])
