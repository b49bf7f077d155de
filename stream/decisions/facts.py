"""What decisions want to know of a customer: rhythm, silence, revenue, cart, and what was just bought or sent back.

Reads a profile once for each request; judges nothing. ``kinds``, ``episodes``, ``lists`` and ``reasons`` use what it
returns.
"""

from typing import Final, NamedTuple

from stream.contracts.times import DAY_MS
from stream.decisions.policies import Policies
from stream.profiles.profile import Profile
from stream.profiles.rings import Interaction, baskets, cart_items, interactions
from stream.profiles.statistics import revenue_365d, rhythm

_CENTS: Final = 100.0


class Facts(NamedTuple):
    """A customer at one moment. Times are epoch milliseconds, amounts units of the configured currency."""

    at: int
    baskets: int
    """Orders that were not returned in full."""
    first_purchase_at: int
    last_purchase_at: int
    """0 without an order."""
    mean_gap_days: float
    """Mean of the days between orders; 0.0 with fewer than two."""
    recent_baskets: tuple[int, ...]
    """Times of the newest orders, oldest first, at most 16."""
    revenue_year: float
    """Purchases less returns of the last 365 days."""
    cart_value: float
    items: tuple[int, ...]
    """Hashes of the items in the open cart, else of the last order."""
    paused_items: frozenset[int]
    """Hashes of items bought or sent back so lately that they are not recommended."""
    interactions: tuple[Interaction, ...]
    """The newest 64, oldest first."""

    @property
    def silence_days(self) -> float:
        """Days since the last order."""
        return (self.at - self.last_purchase_at) / DAY_MS


def read_facts(profile: Profile, at: int, settings: Policies) -> Facts:
    """The facts of ``profile`` at ``at``, in epoch milliseconds and not before its newest event."""
    own_rhythm = rhythm(profile)
    recent = tuple(interactions(profile))
    cart = cart_items(profile)
    return Facts(
        at=at,
        baskets=own_rhythm.baskets,
        first_purchase_at=own_rhythm.first,
        last_purchase_at=own_rhythm.last,
        mean_gap_days=own_rhythm.mean_gap_s * 1000.0 / DAY_MS,
        recent_baskets=tuple(basket.time for basket in baskets(profile) if basket.counts),
        revenue_year=revenue_365d(profile, at) / _CENTS,
        cart_value=round(sum(item.quantity * item.price for item in cart), 2),
        items=tuple(item.item_hash for item in cart) or _last_order(recent),
        paused_items=_paused(recent, at, settings),
        interactions=recent,
    )


def _last_order(recent: tuple[Interaction, ...]) -> tuple[int, ...]:
    times = [each.time for each in recent if each.type == "purchase"]
    if not times:
        return ()
    return tuple(dict.fromkeys(each.item_hash for each in recent if each.type == "purchase" and each.time == times[-1]))


def _paused(recent: tuple[Interaction, ...], at: int, settings: Policies) -> frozenset[int]:
    since = {
        "purchase": at - settings.bought_pause_days * DAY_MS,
        "return": at - settings.returned_pause_days * DAY_MS,
    }
    return frozenset(each.item_hash for each in recent if each.type in since and each.time > since[each.type])
