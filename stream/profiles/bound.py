"""Keeps a profile within its bound: 4,096 bytes encoded for a customer, 1,536 for an anonymous visitor.

All tables full would take some 6 KiB. When the bound is passed, tables give way in the order of the ladders below, the
least valuable rows first, each no further than its floor; what a later rung would cost is worse than all before it.
Called by the fold after every event.
"""

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from stream.profiles import asking, baskets, cart, categories, codec, interactions, items, returns
from stream.profiles.profile import Profile

CUSTOMER_BOUND: Final = 4096
VISITOR_BOUND: Final = 1536
"""Bytes encoded, never exceeded."""

FIELDS: Final = 52
"""Fields of a profile that count against its bound: those of this fold version. What a build adds behind them does not,
or its customers' tables would give way sooner than on a build that does not know it; the next fold version counts all.
"""

SLACK: Final = 128
"""When a profile has to give way it does so by this much more, so that not every event of a busy customer pays."""

RESERVE: Final = 32
"""What asking and timers may add after the fold has made the profile fit: times where zeros were."""

EVENT_IDS: Final = 256
"""Ids remembered to tell duplicates."""

EVENT_ID_SIZE: Final = 4


class Rung(NamedTuple):
    """Rows that a table may lose: down to ``floor``."""

    table: str
    floor: int


CUSTOMER_LADDER: Final = (
    # Evidence of a request, beyond what its offsets say already.
    Rung("evidence", 4),
    Rung("cart", 8),
    # Only customers with more than 64 interactions have items here; the weakest of 128 were bought once, long ago.
    Rung("items", 64),
    # Duplicates come close to their originals: a producer's retry is seconds away.
    Rung("event_ids", 128),
    Rung("baskets", 8),
    Rung("items", 32),
    Rung("evidence", 1),
    Rung("pending_returns", 4),
    Rung("interactions", 32),
    Rung("items", 0),
    Rung("event_ids", 64),
)
VISITOR_LADDER: Final = (
    Rung("evidence", 0),
    Rung("event_ids", 32),
    Rung("interactions", 16),
    Rung("items", 0),
    Rung("cart", 4),
    Rung("categories", 4),
    Rung("baskets", 2),
    Rung("pending_returns", 0),
    Rung("settled_revenue", 0),
)

SCALARS: Final = 300
"""More than the scalars and the headers of the tables can take, with counts of events below 2**32."""
_REST: Final = SCALARS + 520
"""More than all that is not looked at can take: beside the scalars counts 224, categories 144, settled revenue 150."""

ID_BYTES: Final = 4
"""UTF-8 bytes of a character at most."""

SHORT_ID: Final = 40
SMALL: Final = (
    CUSTOMER_BOUND
    - RESERVE
    - _REST
    - ID_BYTES * SHORT_ID
    - baskets.CAPACITY * baskets.ROW.size
    - cart.CAPACITY * cart.ROW.size
    - returns.PENDING_CAPACITY * returns.PENDING_ROW.size
)
"""With fewer bytes of event ids, interactions, items and evidence, a customer whose id has at most ``SHORT_ID``
characters fits even if all else is full."""


def _drop_event_ids(profile: Profile, keep: int) -> None:
    profile.event_ids = profile.event_ids[len(profile.event_ids) - keep * EVENT_ID_SIZE :]


def _drop_items(profile: Profile, keep: int) -> None:
    profile.items = items.strongest(profile.items, keep)


def _drop_cart(profile: Profile, keep: int) -> None:
    profile.cart = cart.newest(profile.cart, keep)


def _drop_categories(profile: Profile, keep: int) -> None:
    profile.categories = categories.strongest(profile.categories, keep)


def _drop_pending(profile: Profile, keep: int) -> None:
    rows = profile.pending_returns
    profile.pending_returns = rows[len(rows) - keep * returns.PENDING_ROW.size :]


def _drop_settled_revenue(profile: Profile, keep: int) -> None:
    rows = profile.settled_revenue
    profile.settled_revenue = rows[len(rows) - keep * baskets.BUCKET.size :]


_DROP: Final[Mapping[str, tuple[int, Callable[[Profile, int], None]]]] = {
    "event_ids": (EVENT_ID_SIZE, _drop_event_ids),
    "interactions": (interactions.ROW.size, items.settle),
    "items": (items.ROW.size, _drop_items),
    "cart": (cart.ROW.size, _drop_cart),
    "categories": (categories.ROW.size, _drop_categories),
    "baskets": (baskets.ROW.size, baskets.settle),
    "pending_returns": (returns.PENDING_ROW.size, _drop_pending),
    "settled_revenue": (baskets.BUCKET.size, _drop_settled_revenue),
}
"""Bytes of a row, and how to keep so many rows."""


def fit(profile: Profile) -> None:
    """Makes the profile fit its bound. Costs a few additions while it is far from it."""
    filled = len(profile.event_ids) + len(profile.interactions) + len(profile.items) + len(profile.evidence)
    # This runs for every event, and most profiles are so small that the rest need not be added up.
    if filled < SMALL and not profile.anonymous and len(profile.customer_id) <= SHORT_ID:
        return
    limit = (VISITOR_BOUND if profile.anonymous else CUSTOMER_BOUND) - RESERVE
    at_most = (
        SCALARS
        + ID_BYTES * len(profile.customer_id)
        + filled
        + len(profile.baskets)
        + len(profile.cart)
        + len(profile.pending_returns)
        + len(profile.settled_revenue)
        + len(profile.categories)
        + len(profile.browse_counts)
        + len(profile.cart_counts)
        + len(profile.purchase_counts)
        + len(profile.return_counts)
        + len(profile.review_counts)
        + len(profile.engagement_counts)
        + len(profile.purchase_amounts)
    )
    if at_most > limit:
        _give_way(profile, limit)


def _give_way(profile: Profile, limit: int) -> None:
    size = _size(profile)
    if size <= limit:
        return
    for rung in VISITOR_LADDER if profile.anonymous else CUSTOMER_LADDER:
        table: bytes = getattr(profile, rung.table)
        if rung.table == "evidence":
            asking.drop_evidence(profile, rung.floor)
        else:
            row_size, drop = _DROP[rung.table]
            rows = len(table) // row_size
            surplus = size - (limit - SLACK)
            if rows > rung.floor:
                drop(profile, max(rung.floor, rows - surplus // row_size - 1))
        rest: bytes = getattr(profile, rung.table)
        if rest is table:
            continue
        # What leaves these two is counted on in other fields.
        counted_on = rung.table in ("baskets", "interactions")
        size = _size(profile) if counted_on else size - _encoded_bytes(table) + _encoded_bytes(rest)
        if size <= limit - SLACK:
            return


def _encoded_bytes(table: bytes) -> int:
    length = len(table)
    return length + (2 if length < 1 << 8 else 3)


def _size(profile: Profile) -> int:
    encoded = codec.encode(profile)
    added = codec.added_behind(encoded, FIELDS)
    return len(encoded) - (len(added.encoded) if added is not None else 0)
