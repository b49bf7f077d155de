"""The profile's numbers as the model reads them: logged, clipped, and in a fixed order.

Half of ``serving.features``, which is the only caller. What is known of the customer is defined in ``stream.profiles``;
here it is put into shop days (``serving.season``), into what BG/NBD expects (``serving.purchase_rates``), and scaled so
that it holds in fp16 and no outlier rules a layer.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Final

import numpy as np
import numpy.typing as npt

from serving.histories import Interactions, read_baskets
from serving.outlook import OUTLOOK, outlook
from serving.shop import Shop
from stream.contracts.times import DAY_MS
from stream.profiles import cart, decay, interactions, items
from stream.profiles.profile import Profile
from stream.profiles.statistics import revenue_365d, rhythm

Floats = npt.NDArray[np.float64]

STATISTICS_VERSION: Final = 2
"""Counts up when a number keeps its name and changes its meaning."""

_DECAYED: Final = ("purchases", "amount", "browses", "carts", "returns", "reviews", "engagements")
_SEASONAL: Final = 2
"""The first so many of them are taken relative to what the season alone would have left."""

_HALF_LIVES: Final = ("1d", "7d", "30d", "90d")

_SCALARS: Final = (
    "mean_gap_days",
    "gap_deviation_days",
    "revenue",
    "mean_basket",
    "revenue_365d",
    "returned_share",
    "known_lines",
    "in_cart",
    "has_rating",
    "mean_rating",
)
_WINDOWS_DAYS: Final = (30, 60, 90, 180, 365)
_YEAR_AGO_DAYS: Final = (30, 90, 180)
_NEWEST: Final = 3

STATISTICS: Final = (
    *(f"{kind}_{half_life}" for kind in _DECAYED for half_life in _HALF_LIVES),
    *_SCALARS,
    *OUTLOOK,
    *(f"baskets_within_{days}d" for days in _WINDOWS_DAYS),
    *(f"revenue_within_{days}d" for days in _WINDOWS_DAYS),
    *(f"year_ago_next_{days}d" for days in _YEAR_AGO_DAYS),
    *(f"basket_{place}" for place in range(_NEWEST)),
    "last_gap",
    "gap_before",
    "silence_in_gaps",
    "revenue_a_day",
    "calendar_recency_days",
    "calendar_tenure_days",
    "log_basket",
    "log_basket_deviation",
    "lines_a_basket",
    "distinct_share",
    "unit_price",
    "units",
)
"""Names in order. ``purchases_30d`` is the log of one plus the count with a half-life of 30 days, amounts are in
currency; gaps, windows and silences in shop days. ``year_ago_next_90d``: baskets of the 90 days from a year ago on."""

_DAY: Final = float(DAY_MS)
_NO_RHYTHM_DAYS: Final = 90.0
"""Mean gap assumed of customers with one basket: about the median of the others'."""

_LONGEST_DAYS: Final = 1_000.0
_AGES_AGO_DAYS: Final = 1e6
_YEAR_DAYS: Final = 365.0
_TWO_MONTHS_DAYS: Final = 60.0

_CENTS: Final = 100.0
_NOTHING: Final = bytes(8 * len(decay.HALF_LIVES))
_LIMIT: Final = 12.0


def statistics(
    profiles: Sequence[Profile], as_of: npt.NDArray[np.int64], seen: Interactions, shop: Shop
) -> npt.NDArray[np.float32]:
    """float32[B, S] in the order of ``STATISTICS``, all within [-12, 12].

    Args:
        as_of: int64[B], epoch milliseconds.
        seen: the profiles' interactions.
        shop: season and purchase rates.
    """
    count = len(profiles)
    rhythms = np.array(
        [
            (bought.baskets, bought.first or p.first_time, bought.last or p.first_time, bought.gap_variance_s2)
            for p, bought in ((p, rhythm(p)) for p in profiles)
        ],
        np.float64,
    ).reshape(count, 4)
    baskets, first, last = rhythms[:, 0], rhythms[:, 1].astype(np.int64), rhythms[:, 2].astype(np.int64)
    # The moment asked for is the last one that is known: the day after it has not begun.
    now, began, ended = (shop.season.elapsed(moments) for moments in (as_of + 1, first, last))
    money = (
        np.array(
            [
                (p.revenue_cents / _CENTS, revenue_365d(p, at) / _CENTS)
                for p, at in zip(profiles, as_of.tolist(), strict=True)
            ],
            np.float64,
        )
        .reshape(count, 2)
        .clip(0)
    )
    mean_basket = money[:, 0] / np.maximum(baskets, 1)
    decayed = _decayed(profiles, as_of, shop)
    mean_gap = np.where(baskets > 1, (ended - began) / np.maximum(baskets - 1, 1), _NO_RHYTHM_DAYS)
    silence = np.clip(now - ended, 0, _LONGEST_DAYS)
    scalars = [
        np.log1p(mean_gap),
        np.log1p(np.sqrt(rhythms[:, 3].clip(0)) * 1000.0 / _DAY),
        np.log1p(money[:, 0]),
        np.log1p(mean_basket),
        np.log1p(money[:, 1]),
        *_plain(profiles).T,
    ]
    windows, log_basket = _windows(profiles, as_of, now, shop)
    expected = outlook(
        shop,
        as_of,
        baskets=baskets,
        tenure=np.maximum(now - began, ended - began),
        last=ended - began,
        silence=silence,
        log_revenue_year=np.log1p(money[:, 1]),
        log_amount=decayed[:, _DECAYED.index("amount") * len(_HALF_LIVES) + decay.QUARTER],
        log_mean_basket=np.log1p(mean_basket),
        log_basket=log_basket,
    )
    habits = [
        silence_in_gaps(silence, mean_gap),
        revenue_a_day(np.log1p(money[:, 1]), now - began),
        np.log1p(np.clip((as_of - last) / _DAY, 0, _LONGEST_DAYS)),
        np.log1p(np.clip((as_of - first) / _DAY, 0, _LONGEST_DAYS)),
    ]
    joined = np.column_stack(
        [decayed, *scalars, expected, windows[:, :-2], *habits, windows[:, -2:], _lines(count, seen)]
    )
    clipped: npt.NDArray[np.float32] = np.clip(joined, -_LIMIT, _LIMIT).astype(np.float32)
    return clipped


def silence_in_gaps(silence: Floats, mean_gap: Floats) -> Floats:
    """Log of the silence in own mean gaps, both in shop days and counted from one."""
    return np.asarray(np.log((silence + 1.0) / (mean_gap + 1.0)))


def revenue_a_day(log_revenue_year: Floats, tenure: Floats) -> Floats:
    """Log of a year's revenue for each shop day of it that the customer was known for, two months at the least."""
    return np.asarray(log_revenue_year - np.log(np.clip(tenure, _TWO_MONTHS_DAYS, _YEAR_DAYS)))


def _decayed(profiles: Sequence[Profile], as_of: npt.NDArray[np.int64], shop: Shop) -> Floats:
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
    current[:, :_SEASONAL] /= shop.season.level(as_of)[:, None, :]
    logged: Floats = np.sign(current) * np.log1p(np.abs(current))
    return logged.reshape(len(profiles), len(_DECAYED) * len(_HALF_LIVES))


def _plain(profiles: Sequence[Profile]) -> Floats:
    """The scalars that need neither a clock nor the season: float64[B, 5]."""
    return np.array(
        [
            (
                p.returns / (p.returns + p.purchases) if p.returns else 0.0,
                math.log1p(len(p.items) // items.ROW.size + len(p.interactions) // interactions.ROW.size),
                float(cart.is_open(p)),
                float(p.rating_weight > 0),
                p.rating_sum / p.rating_weight / 5.0 if p.rating_weight > 0 else 0.0,
            )
            for p in profiles
        ],
        np.float64,
    ).reshape(len(profiles), 5)


def _windows(
    profiles: Sequence[Profile], as_of: npt.NDArray[np.int64], now: Floats, shop: Shop
) -> tuple[Floats, Floats]:
    """Counts, revenue, size and gaps of the newest baskets: float64[B, 20], the last two of them the mean and the
    deviation of the log of a basket; and that mean again."""
    count = len(profiles)
    known = read_baskets(profiles)
    age = now[known.row] - shop.season.elapsed(known.time)
    calendar_age = (as_of[known.row] + 1 - known.time) / _DAY
    logged = np.log1p(known.revenue)

    def total(rows: npt.NDArray[np.bool_], values: Floats | None = None) -> Floats:
        weights = None if values is None else values[rows]
        return np.log1p(np.bincount(known.row[rows], weights, count))

    def newest(place: int, values: Floats, missing: float) -> Floats:
        found = np.full(count, missing)
        found[known.row[known.place == place]] = values[known.place == place]
        return found

    # A basket that never was lies ages before the one after it.
    ages = [newest(place, age, (place + 1) * _AGES_AGO_DAYS) for place in range(_NEWEST)]
    gaps = [np.clip(before - after, 0, _LONGEST_DAYS) for after, before in pairwise(ages)]
    each = np.maximum(np.bincount(known.row, minlength=count), 1)
    mean = np.bincount(known.row, logged, count) / each
    spread = np.sqrt(np.bincount(known.row, (logged - mean[known.row]) ** 2, count) / each)
    columns = [
        *(total(age <= days) for days in _WINDOWS_DAYS),
        *(total(age <= days, known.revenue) for days in _WINDOWS_DAYS),
        *(total((calendar_age <= _YEAR_DAYS) & (calendar_age > _YEAR_DAYS - days)) for days in _YEAR_AGO_DAYS),
        *(newest(place, logged, 0.0) for place in range(_NEWEST)),
        *(np.log1p(gap) for gap in gaps),
        mean,
        spread,
    ]
    return np.column_stack(columns), mean


def _lines(count: int, seen: Interactions) -> Floats:
    """Lines a basket, share of distinct items, unit price and units of the purchases still in the ring: [B, 4]."""
    bought = seen.code == interactions.PURCHASE
    row, item, day = seen.row[bought], seen.item[bought], seen.time[bought] // DAY_MS
    lines = np.bincount(row, minlength=count)
    each = np.maximum(lines, 1)
    days = np.bincount(np.unique(np.stack([row, day]), axis=1)[0], minlength=count)
    order = np.lexsort((item, row))
    fresh = np.ones(len(row), np.bool_)
    fresh[1:] = (np.diff(row[order]) != 0) | (item[order][1:] != item[order][:-1])
    distinct = np.bincount(row[order][fresh], minlength=count)
    return np.column_stack(
        [
            np.log1p(lines / np.maximum(days, 1)),
            distinct / each,
            np.log1p(np.bincount(row, seen.price[bought], count) / each),
            np.log1p(np.bincount(row, seen.quantity[bought], count) / each),
        ]
    )
