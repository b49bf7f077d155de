"""The profile's numbers as the model reads them: logged, clipped, and in a fixed order.

Half of ``serving.features``, which is the only caller. What the numbers mean is defined in ``stream.profiles``; here
they are only scaled so that they hold in fp16 and no outlier rules a layer.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from stream.contracts.times import DAY_MS
from stream.profiles import cart, decay, interactions, items, rings
from stream.profiles.profile import Profile
from stream.profiles.statistics import revenue_365d, rhythm

STATISTICS_VERSION: Final = 1
"""Counts up when a number keeps its name and changes its meaning."""

_DECAYED: Final = ("purchases", "amount", "browses", "carts", "returns", "reviews", "engagements")
_HALF_LIVES: Final = ("1d", "7d", "30d", "90d")

STATISTICS: Final = (
    *(f"{kind}_{half_life}" for kind in _DECAYED for half_life in _HALF_LIVES),
    "recency_days",
    "tenure_days",
    "baskets",
    "one_basket",
    "mean_gap_days",
    "gap_deviation_days",
    "silence_in_gaps",
    "expected_purchases_90d",
    "revenue",
    "mean_basket",
    "revenue_365d",
    "last_basket",
    "returned_share",
    "known_lines",
    "in_cart",
    "has_rating",
    "mean_rating",
)
"""Names in order. ``purchases_30d`` is the log of one plus the count with a half-life of 30 days, amounts are in
currency."""

_DAY: Final = float(DAY_MS)
_NO_RHYTHM_DAYS: Final = 90.0
"""Mean gap assumed of customers with one basket: about the median of the others'."""

_LONGEST_DAYS: Final = 1_000.0

_PRIOR_PURCHASES: Final = 0.6
_PRIOR_WEEKS: Final = 8.0
"""A gamma prior over purchase rates: shape and rate in weeks, near what BG/NBD finds on gift shops (Fader, Hardie,
Lee 2005)."""


_CENTS: Final = 100.0
_NOTHING: Final = bytes(8 * len(decay.HALF_LIVES))
_LIMIT: Final = 12.0


def statistics(profiles: Sequence[Profile], as_of: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
    """float32[B, S] in the order of ``STATISTICS``, all within [-12, 12].

    Args:
        as_of: int64[B], epoch milliseconds.
    """
    rows = [_row(p, at) for p, at in zip(profiles, as_of.tolist(), strict=True)]
    own = np.array(rows, np.float64).reshape(len(profiles), len(STATISTICS) - len(_DECAYED) * len(_HALF_LIVES))
    joined = np.concatenate([_decayed(profiles, as_of), own], axis=1)
    clipped: npt.NDArray[np.float32] = np.clip(joined, -_LIMIT, _LIMIT).astype(np.float32)
    return clipped


def _decayed(profiles: Sequence[Profile], as_of: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """``decay.read`` of every packed sum of every profile, logged: float64[B, 28]."""
    packed = b"".join(
        [
            sums or _NOTHING
            for p in profiles
            for sums in (
                p.purchase_counts,
                p.purchase_amounts,
                p.browse_counts,
                p.cart_counts,
                p.return_counts,
                p.review_counts,
                p.engagement_counts,
            )
        ]
    )
    kept = np.frombuffer(packed, "<f8").reshape(len(profiles), len(_DECAYED), len(_HALF_LIVES)).copy()
    kept[:, _DECAYED.index("amount")] /= _CENTS
    landmarks = np.fromiter((decay.landmark(p.last_time) for p in profiles), np.int64, len(profiles))
    fade = np.exp2((landmarks - as_of)[:, None] / np.array(decay.HALF_LIVES, np.float64))
    # Net of returns, an amount may be negative.
    current = kept * fade[:, None, :]
    logged: npt.NDArray[np.float64] = np.sign(current) * np.log1p(np.abs(current))
    return logged.reshape(len(profiles), len(_DECAYED) * len(_HALF_LIVES))


def _row(profile: Profile, at: int) -> tuple[float, ...]:
    bought = rhythm(profile)
    last, first = bought.last or profile.first_time, bought.first or profile.first_time
    recency = _days(at - last)
    tenure = _days(at - first)
    mean_gap = bought.mean_gap_s * 1000.0 / _DAY if bought.baskets > 1 else _NO_RHYTHM_DAYS
    revenue = _positive(profile.revenue_cents / _CENTS)
    year = _positive(revenue_365d(profile, at) / _CENTS)
    rate = (_PRIOR_PURCHASES + max(bought.baskets - 1, 0)) / (_PRIOR_WEEKS + tenure / 7.0)
    newest = rings.baskets(profile)[-1:]
    return (
        math.log1p(recency),
        math.log1p(tenure),
        math.log1p(bought.baskets),
        float(bought.baskets == 1),
        math.log1p(mean_gap),
        math.log1p(math.sqrt(max(bought.gap_variance_s2, 0.0)) * 1000.0 / _DAY),
        math.log((recency + 1.0) / (mean_gap + 1.0)),
        math.log1p(rate * 90.0 / 7.0),
        math.log1p(revenue),
        math.log1p(revenue / max(bought.baskets, 1)),
        math.log1p(year),
        math.log1p(_positive(newest[0].revenue / _CENTS)) if newest else 0.0,
        profile.returns / (profile.returns + profile.purchases) if profile.returns else 0.0,
        math.log1p(len(profile.items) // items.ROW.size + len(profile.interactions) // interactions.ROW.size),
        float(cart.is_open(profile)),
        float(profile.rating_weight > 0),
        profile.rating_sum / profile.rating_weight / 5.0 if profile.rating_weight > 0 else 0.0,
    )


def _days(milliseconds: int) -> float:
    return min(max(milliseconds, 0) / _DAY, _LONGEST_DAYS)


def _positive(amount: float) -> float:
    return max(amount, 0.0)
