"""What a purchase changes: its basket, what was bought, the categories, and the cart, which ends with it.

Returns of the same order that came before it are waiting in ``pending_returns`` and are settled here. Called by the
fold.
"""

from stream.contracts.events import Event
from stream.contracts.ids import event_id_hash
from stream.profiles import baskets, cart, categories, decay, interactions, items, returns
from stream.profiles.baskets import Basket
from stream.profiles.lines import Line
from stream.profiles.profile import Profile


def buy(profile: Profile, event: Event, time: int, by: int, bought: list[Line]) -> None:
    """Folds a purchase.

    Args:
        profile: changed in place.
        event: the purchase.
        time: its time.
        by: 32-bit hash of its id.
        bought: its products.
    """
    order = event_id_hash(event.transaction_id) if event.transaction_id else by
    known = baskets.find(profile, order)
    cents = sum(line.cents or 0 for line in bought)
    units = sum(line.units for line in bought)
    basket = (
        Basket(order, time, cents, units)
        if known is None
        else Basket(order, min(time, known.time), known.cents + cents, known.units + units)
    )
    baskets.replace(profile, known, basket)
    tag = interactions.tag_of(order)
    rows = [interactions.row(time, interactions.PURCHASE, line.item, line.quantity, line.price, tag) for line in bought]
    profile.interactions, fallen = interactions.put(profile.interactions, rows)
    if fallen:
        profile.items = items.count(profile.items, fallen, profile.last_time)
    seen = [line.category for line in bought]
    if any(seen):
        second = time - time % 1000  # As in the ring, from which a return takes it back.
        weight = decay.weight(second, profile.last_time, categories.HALF_LIFE)
        profile.categories = categories.added(profile.categories, seen, categories.BOUGHT * weight)
    cart.clear(profile, time, by)
    if profile.pending_returns or basket.returned_whole:
        returns.settle(profile, order)
