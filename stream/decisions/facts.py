"""What decisions want to know of a customer: rhythm, silence, revenue, cart, and what was just bought or sent back.

It reads a profile and judges nothing. ``kinds``, ``episodes``, ``lists`` and ``reasons`` use what it says.
"""

from functools import cached_property
from typing import Final

from stream.contracts.times import DAY_MS
from stream.decisions.policies import Policies
from stream.profiles.profile import Profile
from stream.profiles.rings import CartItem, Interaction, baskets, cart_items, interactions
from stream.profiles.statistics import revenue_365d, rhythm

_CENTS: Final = 100.0


class Facts:
    """A customer at one moment. Times are epoch milliseconds, amounts units of the configured currency.

    What only an alert needs is read when first asked for: most requests end without one.

    Args:
        profile: the customer's.
        at: epoch milliseconds, not before the profile's newest event.
        settings: says how long what was bought or sent back is left out of lists.
    """

    def __init__(self, profile: Profile, at: int, settings: Policies) -> None:
        self._profile = profile
        self._settings = settings
        self.at = at
        self._rhythm = rhythm(profile)

    @property
    def baskets(self) -> int:
        """Orders that were not returned in full."""
        return self._rhythm.baskets

    @property
    def first_purchase_at(self) -> int:
        """0 without an order."""
        return self._rhythm.first

    @property
    def last_purchase_at(self) -> int:
        """0 without an order."""
        return self._rhythm.last

    @property
    def mean_gap_days(self) -> float:
        """Mean of the days between orders; 0.0 with fewer than two."""
        return self._rhythm.mean_gap_s * 1000.0 / DAY_MS

    @property
    def silence_days(self) -> float:
        """Days since the last order."""
        return (self.at - self.last_purchase_at) / DAY_MS

    @cached_property
    def recent_baskets(self) -> list[int]:
        """Times of the newest orders, oldest first, at most 16."""
        return [basket.time for basket in baskets(self._profile) if basket.counts]

    @cached_property
    def revenue_year(self) -> float:
        """Purchases less returns of the last 365 days."""
        return revenue_365d(self._profile, self.at) / _CENTS

    @cached_property
    def interactions(self) -> list[Interaction]:
        """The newest 64, oldest first."""
        return interactions(self._profile)

    @cached_property
    def _cart(self) -> list[CartItem]:
        return cart_items(self._profile)

    @cached_property
    def cart_value(self) -> float:
        """Worth of the open cart, as far as prices are known."""
        return round(sum(item.quantity * item.price for item in self._cart), 2)

    @cached_property
    def items(self) -> list[int]:
        """Hashes of the items in the open cart, else of the last order."""
        if self._cart:
            return [item.item_hash for item in self._cart]
        bought = [each for each in self.interactions if each.type == "purchase"]
        return list(dict.fromkeys(each.item_hash for each in bought if each.time == bought[-1].time))

    @cached_property
    def paused_items(self) -> frozenset[int]:
        """Hashes of items bought or sent back so lately that they are not recommended."""
        since = {
            "purchase": self.at - self._settings.bought_pause_days * DAY_MS,
            "return": self.at - self._settings.returned_pause_days * DAY_MS,
        }
        return frozenset(
            each.item_hash for each in self.interactions if each.type in since and each.time > since[each.type]
        )
