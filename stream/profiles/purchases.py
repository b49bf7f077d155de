"""What a purchase changes: its basket, what was bought, the categories, and the cart, which ends with it.

Returns of the same order that came before it are waiting in ``pending_returns`` and are settled here. Called by the
fold.
"""

from stream.profiles import baskets, cart, categories, decay, interactions, items, returns
from stream.profiles.baskets import Basket
from stream.profiles.lines import Line
from stream.profiles.profile import Profile


def buy(profile: Profile, order: int, time: int, by: int, bought: list[Line]) -> None:
    """Folds a purchase.

    Args:
        profile: changed in place.
        order: 32-bit hash of its ``transaction_id``, or of the event's id where there is none.
        time: of the purchase.
        by: 32-bit hash of the event's id.
        bought: its products.
    """
    tag = interactions.tag_of(order)
    second = time - time % 1000  # As in the ring, from which a return takes it back.
    weight = categories.BOUGHT * decay.weight(second, profile.last_time, categories.HALF_LIFE)
    cents = units = 0
    rows = []
    for line in bought:
        cents += line.cents or 0
        units += line.units
        rows.append(interactions.row(time, interactions.PURCHASE, line.item, line.quantity, line.price, tag))
        if line.category:
            profile.categories = categories.added(profile.categories, line.category, weight)
    known = baskets.find(profile, order)
    if known is None:
        baskets.begin(profile, order, time, cents, units)
    else:
        together = Basket(order, min(time, known.time), known.cents + cents, known.units + units)
        baskets.replace(profile, known, together)
    items.interact(profile, rows)
    cart.clear(profile, time, by)
    if profile.pending_returns or (known is not None and known.returned_whole):
        returns.settle(profile, order)
