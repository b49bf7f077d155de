"""What can be said of a customer at a moment: decayed counts, recency, frequency, monetary value, rhythm, sentiment.

Decay happens here, on reading. ``at`` is epoch milliseconds and never before the profile's ``last_time``. Called by
``serving.features``, by the fallback and by the reasons of alerts.
"""

from collections.abc import Callable, Mapping
from typing import Final, Literal, NamedTuple

from stream.contracts.times import DAY_MS
from stream.profiles import decay, rings
from stream.profiles.baskets import Rhythm, revenue_since, rhythm
from stream.profiles.profile import Profile

__all__ = [
    "ORDER_FREE_FEATURES",
    "Decayed",
    "Rhythm",
    "Sentiment",
    "decayed_count",
    "decayed_revenue",
    "frequency",
    "monetary_value",
    "recency",
    "revenue_365d",
    "rhythm",
    "sentiment",
]

Counted = Literal["browse", "cart", "purchase", "return", "review", "engagement"]
_YEAR_MS: Final = 365 * DAY_MS
_CENTS: Final = 100


class Decayed(NamedTuple):
    """One quantity under four half-lives."""

    day: float
    week: float
    month: float
    """Half-life 30 days."""
    quarter: float
    """Half-life 90 days."""


class Sentiment(NamedTuple):
    """What the customer thinks, by ratings halved every 90 days."""

    mean: float
    """1 to 5; 0.0 without ratings."""
    weight: float
    """Ratings it rests on, decayed."""


_COUNTS: Final[Mapping[Counted, Callable[[Profile], bytes]]] = {
    "browse": lambda profile: profile.browse_counts,
    "cart": lambda profile: profile.cart_counts,
    "purchase": lambda profile: profile.purchase_counts,
    "return": lambda profile: profile.return_counts,
    "review": lambda profile: profile.review_counts,
    "engagement": lambda profile: profile.engagement_counts,
}


def decayed_count(profile: Profile, counted: Counted, at: int) -> Decayed:
    """Decayed number of events; of baskets for ``purchase``, of messages opened or clicked for ``engagement``."""
    return Decayed(*decay.read(_COUNTS[counted](profile), at, profile.last_time))


def decayed_revenue(profile: Profile, at: int) -> Decayed:
    """Decayed revenue less returns, in the configured currency."""
    return Decayed(*(cents / _CENTS for cents in decay.read(profile.purchase_amounts, at, profile.last_time)))


def recency(profile: Profile, at: int) -> int | None:
    """Milliseconds since the last basket that was not returned in full; None without one."""
    bought = rhythm(profile)
    return at - bought.last if bought.baskets else None


def frequency(profile: Profile) -> int:
    """Distinct baskets, less those returned in full."""
    return rhythm(profile).baskets


def monetary_value(profile: Profile) -> float:
    """Mean revenue of a basket, less returns, in the configured currency; 0.0 without baskets."""
    baskets = frequency(profile)
    return profile.revenue_cents / _CENTS / baskets if baskets else 0.0


def revenue_365d(profile: Profile, at: int) -> int:
    """Cents of the last 365 days, less returns: exact for the newest 16 baskets, by whole 28-day buckets before."""
    return revenue_since(profile, at - _YEAR_MS)


def sentiment(profile: Profile, at: int) -> Sentiment:
    """Decayed mean of the customer's ratings."""
    if not profile.rating_weight:
        return Sentiment(0.0, 0.0)
    quarter = decay.HALF_LIVES[decay.QUARTER]
    weight = decay.faded(profile.rating_weight, at, profile.last_time, quarter)
    return Sentiment(profile.rating_sum / profile.rating_weight, weight)


ORDER_FREE_FEATURES: Final[Mapping[str, Callable[[Profile, int], object]]] = {
    "first_time": lambda profile, _: profile.first_time,
    "last_time": lambda profile, _: profile.last_time,
    "browses": lambda profile, _: profile.browses,
    "cart_changes": lambda profile, _: profile.cart_changes,
    "purchases": lambda profile, _: profile.purchases,
    "returns": lambda profile, _: profile.returns,
    "reviews": lambda profile, _: profile.reviews,
    "messages": lambda profile, _: (profile.messages_sent, profile.messages_opened, profile.messages_clicked),
    "linked_visitor": lambda profile, _: profile.linked_visitor,
    "consent": lambda profile, _: (profile.personalization, profile.marketing),
    "browse_counts": lambda profile, at: decayed_count(profile, "browse", at),
    "cart_counts": lambda profile, at: decayed_count(profile, "cart", at),
    "purchase_counts": lambda profile, at: decayed_count(profile, "purchase", at),
    "return_counts": lambda profile, at: decayed_count(profile, "return", at),
    "review_counts": lambda profile, at: decayed_count(profile, "review", at),
    "engagement_counts": lambda profile, at: decayed_count(profile, "engagement", at),
    "decayed_revenue": decayed_revenue,
    "revenue_cents": lambda profile, _: profile.revenue_cents,
    "revenue_365d": revenue_365d,
    "rhythm": lambda profile, _: rhythm(profile),
    "sentiment": sentiment,
    "baskets": lambda profile, _: rings.baskets(profile),
    "cart": lambda profile, _: rings.cart_items(profile),
    "interactions": lambda profile, _: rings.interactions(profile),
    "top_items": lambda profile, at: {item.item_hash: item for item in rings.top_items(profile, at)},
    "affinities": lambda profile, at: {row.category_hash: row for row in rings.affinities(profile, at)},
}
"""What does not depend on the order in which events within the allowed lateness came: integers and times exactly,
floats to 1e-9 (money in units of the currency).

It holds up to the capacities: 64 interactions, 16 baskets, 16 cart items, 12 categories, 8 lines returned ahead of
their purchase, and the profile's bound. It holds for returns that name their order and their items: one without a name
means the newest purchase known when it comes, and one without items takes back no categories. Left out: what asking
remembers, the ids for duplicates, and the newest event's mode."""
