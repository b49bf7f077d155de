"""The rolling state of one customer: flat scalars, and tables packed into ``bytes`` so that it decodes in microseconds.

This module says what is kept. How an event changes it is ``fold``'s business, what the packed tables mean ``rings``',
and what can be computed from it at a moment ``statistics``'. Readers outside this package go through those two.
"""

import msgspec

from stream.contracts.events import Mode


class Profile(msgspec.Struct, array_like=True, gc=False):
    """What is known of a customer, or of an anonymous visitor.

    Times are epoch milliseconds and 0 means never; amounts are integer cents of the configured currency. Decayed values
    are kept relative to the landmark of ``last_time`` (see ``decay``) and mean something only through ``statistics``.
    New fields go at the end with a default: old bytes then still decode.
    """

    customer_id: str = ""
    """The record's key: the customer, else the anonymous visitor."""
    anonymous: bool = False
    linked_visitor: int = 0
    """64-bit hash of the anonymous id that ``identify`` named last; 0: none."""
    linked_at: int = 0

    # What happened, and when.
    first_time: int = 0
    """Time of the earliest event."""
    last_time: int = 0
    """Time of the newest event. Lateness is judged against it."""
    browses: int = 0
    cart_changes: int = 0
    purchases: int = 0
    """Purchase events, returned or not. Baskets are counted by ``statistics.frequency``."""
    returns: int = 0
    reviews: int = 0
    messages_sent: int = 0
    messages_opened: int = 0
    messages_clicked: int = 0
    event_ids: bytes = b""
    """The newest 256 events folded, by 32-bit hash of their ids, in the order of folding."""

    # Exponentially decayed counts by event type: four float64 each, for 1, 7, 30 and 90 days; empty: all zero.
    browse_counts: bytes = b""
    cart_counts: bytes = b""
    purchase_counts: bytes = b""
    """Of baskets, not of events."""
    return_counts: bytes = b""
    review_counts: bytes = b""
    engagement_counts: bytes = b""
    """Messages opened or clicked."""
    purchase_amounts: bytes = b""
    """Decayed net revenue in cents."""

    # Baskets: the newest one by one, the older ones in sums.
    baskets: bytes = b""
    pending_returns: bytes = b""
    """Lines of returns whose order has not been seen yet, for as long as it may still come."""
    revenue_cents: int = 0
    """Purchases less returns, of all time."""
    settled_baskets: int = 0
    """Baskets that left the table of baskets, not counting those returned in full."""
    settled_first: int = 0
    """Time of the first of them."""
    settled_last: int = 0
    settled_gap_squares: int = 0
    """Sum of the squared gaps between them, in seconds squared."""
    settled_revenue: bytes = b""
    """Their revenue of the last year, by buckets of 28 days."""

    # Items.
    interactions: bytes = b""
    """The newest 64 interactions."""
    items: bytes = b""
    """Items bought, as far as their purchase has left ``interactions``: the strongest 128."""
    categories: bytes = b""
    """The strongest 12 categories."""
    cart: bytes = b""
    cart_cleared_at: int = 0
    """When the cart was last emptied, by the customer or by a purchase."""
    cart_cleared_by: int = 0
    """32-bit hash of the event that did it: the tie-break within a millisecond."""

    # Opinions.
    rating_sum: float = 0.0
    rating_weight: float = 0.0

    # Consent.
    personalization: bool = True
    personalization_at: int = 0
    marketing: bool = True
    marketing_at: int = 0

    # Asking for scores, and being forgotten.
    expires_at: int = 0
    """When an anonymous visitor is forgotten; 0 for customers."""
    asked_at: int = 0
    """``as_of`` of the last request."""
    ask_due: int = 0
    """When the request that fell within the interval is to be made; 0: none is waiting."""
    silence_due: int = 0
    """When silence is to be noticed next; 0: not armed."""
    silence_step: int = 0
    """How often silence was noticed since the last purchase."""
    browses_since_ask: int = 0
    first_offset: int = -1
    """Offset of the earliest event since the last request; -1: there was none."""
    evidence: bytes = b""
    """Ids of the newest events since the last request: UTF-8, the byte FF behind each."""
    simulated: bool = False
    """Whether any event since the last request was simulated."""
    mode: Mode = "live"
    """Mode of the newest event folded that was not a backfill."""
