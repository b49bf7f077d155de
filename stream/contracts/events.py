"""What producers write to ``customer.events.v1``: one struct for every event type.

Field names follow GA4's e-commerce events where GA4 has one. Validation beyond shape (ranges, times, currencies) is
the work of ``stream.profiles``; this module says only what an event looks like.
"""

from typing import Literal

import msgspec

from stream.contracts.times import WireTime

EventType = Literal[
    "browse", "cart", "purchase", "return", "review", "identify", "consent", "engagement", "erase", "tick"
]
CartAction = Literal["add", "remove", "set", "clear"]
EngagementAction = Literal["sent", "delivered", "opened", "clicked", "unsubscribed"]
ConsentChoice = Literal["granted", "denied"]
Mode = Literal["live", "backfill", "replay", "test"]


class Item(msgspec.Struct, omit_defaults=True, gc=False):
    """One line of an event: a product and, where it was carted, bought or returned, how many at which price."""

    item_id: str
    """The product, by the id that the catalogue knows."""
    item_name: str = ""
    """Its name, for people."""
    item_category: str = ""
    """First, broadest level of the shop's category tree."""
    item_category2: str = ""
    """Second level."""
    item_category3: str = ""
    """Third level."""
    item_category4: str = ""
    """Fourth level."""
    item_category5: str = ""
    """Fifth level."""
    item_brand: str = ""
    """Its brand."""
    item_variant: str = ""
    """Which variant: colour, size."""
    item_group_id: str = ""
    """What its variants share."""
    price: float | None = None
    """Price of one unit, in the event's ``currency``."""
    quantity: float | None = None
    """Units. Absent means one."""


class Review(msgspec.Struct, omit_defaults=True, gc=False):
    """What a customer said of a product."""

    rating: float | None = None
    """1 (worst) to 5 (best)."""
    title: str = ""
    """Headline, as written."""
    text: str = ""
    """The review, as written."""
    language: str = ""
    """BCP 47 tag such as ``en`` or ``de-AT``."""


class Consent(msgspec.Struct, omit_defaults=True, gc=False):
    """What a customer allows. A field that is absent leaves the earlier choice as it was."""

    personalization: ConsentChoice | None = None
    """Denied: no score and no recommendation are made."""
    marketing: ConsentChoice | None = None
    """Denied: no alert is raised."""


class Engagement(msgspec.Struct, omit_defaults=True, gc=False):
    """What became of a message that was sent because of an alert or a recommendation."""

    action: EngagementAction
    """What happened to the message."""
    channel: str = ""
    """How it went out: ``email``, ``push``, ``onsite``."""


class Attribution(msgspec.Struct, omit_defaults=True, gc=False):
    """Ties an event to the output that caused it."""

    alert_id: str = ""
    """The alert's episode."""
    recommendation_id: str = ""
    """The list of recommendations."""
    index: int | None = None
    """Zero-based place of the item in the recommendation."""


class Event(msgspec.Struct, omit_defaults=True, gc=False):
    """One thing that a customer did.

    ``customer_id`` or ``anonymous_id`` is required (but for a ``tick``), and is the record's key. Unknown fields are
    ignored.
    """

    event_id: str
    """Unique per event; a second event with the same id and customer is a duplicate and is ignored."""
    type: EventType
    """What happened."""
    time: WireTime
    """When it happened: RFC 3339 with offset, or integer epoch milliseconds."""
    customer_id: str = ""
    """The customer, where known."""
    anonymous_id: str = ""
    """The visitor, where no customer is known; on ``identify``, who the customer turned out to be."""
    session_id: str = ""
    """The visit that it belongs to."""
    transaction_id: str = ""
    """The order. Several events with one ``transaction_id`` count as one basket; a return names the order it undoes."""
    currency: str = ""
    """ISO 4217 code of every amount in the event. Empty: the configured currency."""
    items: list[Item] = []
    """The products concerned: viewed, carted, bought, returned or reviewed."""
    action: CartAction | None = None
    """For ``cart`` events."""
    review: Review | None = None
    """For ``review`` events."""
    consent: Consent | None = None
    """For ``consent`` events."""
    engagement: Engagement | None = None
    """For ``engagement`` events."""
    attribution: Attribution | None = None
    """Which output of ours led to it, where known."""
    channel: str = ""
    """Where it happened: ``web``, ``app``, ``store``."""
    country: str = ""
    """ISO 3166-1 alpha-2, or the country's name."""
    simulated: bool = False
    """True for what no real customer did."""
    mode: Mode = "live"
    """``backfill`` loads history: it changes totals and histories, and fires nothing."""
    traceparent: str = ""
    """W3C trace context, carried to the outputs."""

    @property
    def subject(self) -> str:
        """The customer, else the anonymous visitor; empty for a tick. The record's key in UTF-8."""
        return self.customer_id or self.anonymous_id
