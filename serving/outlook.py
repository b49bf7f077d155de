"""What the customer's own record leads one to expect: silence and purchases by BG/NBD in shop days, and value.

A part of ``serving.statistics``, and what the network starts from: it learns by how much to depart from these.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Final

import numpy as np
import numpy.typing as npt

from serving.model_card import HORIZONS_DAYS
from serving.shop import Shop
from stream.contracts.times import DAY_MS

Floats = npt.NDArray[np.float64]

HAZARDS: Final = tuple(f"hazard_{days}d" for days in HORIZONS_DAYS)
"""Log-odds of buying between the former horizon and this one, given no purchase until then."""

OUTLOOK: Final = (
    *HAZARDS,
    "recency_days",
    "tenure_days",
    "baskets",
    "one_basket",
    "alive",
    "buys_180d",
    "purchases_180d",
    "bought_value_180d",
    "value_180d",
)
"""``alive`` and ``buys_180d`` are log-odds, the last three logs: expected purchases, these times the own mean basket,
and an index of value (see ``outlook``)."""

VALUE_DAYS: Final = 180
_WEEK: Final = 7.0
_LEAST: Final = 1e-4
_TYPICAL_LOG_BASKET: Final = 5.5
_TYPICAL_WEIGHT: Final = 2.0

_LEAST_YEAR: Final = 0.1
"""Share of a year of records from which a year is guessed, at the least."""

_LIKELY: Final = 0.5
_LAST_YEAR: Final = 0.45
_FADED: Final = 0.25
_EXPECTED: Final = 0.3
_SIZE: Final = 0.2
"""Exponents of the index of value. The three in the middle add up to one amount of money."""


def outlook(
    shop: Shop,
    as_of: npt.NDArray[np.int64],
    *,
    baskets: Floats,
    tenure: Floats,
    last: Floats,
    silence: Floats,
    log_revenue_year: Floats,
    log_amount: Floats,
    log_mean_basket: Floats,
    log_basket: Floats,
) -> Floats:
    """float64[B, 12] in the order of ``OUTLOOK``.

    The index of value is a geometric mean of three forecasts that err in different ways (last year's revenue, faded
    revenue, expected purchases times the own mean basket), times a power of the probability to buy at all, which orders
    the many who will not. Where it was compared it beat each of the three and every fitted regression: with labels of
    one winter, what is fitted does not hold in the next summer.

    Args:
        as_of: epoch milliseconds.
        baskets: number of them.
        tenure, last, silence: shop days from the first basket until now and to the last one, and since the last one.
        log_revenue_year, log_amount: of the last 365 days, and halved every 90 days.
        log_mean_basket, log_basket: log of the mean of all baskets, mean of the logs of the newest.
    """
    rates, repeats = shop.rates, np.maximum(baskets - 1.0, 0.0)
    record = repeats, last / _WEEK, tenure / _WEEK
    now = shop.season.elapsed(as_of + 1)

    def ahead(days: int) -> Floats:
        return np.asarray((shop.season.elapsed(as_of + 1 + days * DAY_MS) - now) / _WEEK)

    silent = [rates.silent(*record, ahead(days)).clip(_LEAST, 1 - _LEAST) for days in HORIZONS_DAYS]
    still = [silent[0], *(later / sooner for sooner, later in pairwise(silent))]
    alive = rates.alive(*record)
    buys = 1.0 - rates.silent(*record, ahead(VALUE_DAYS))
    purchases = np.log(np.maximum(rates.expected(*record, ahead(VALUE_DAYS)), _LEAST))
    pace = np.log(ahead(VALUE_DAYS) * _WEEK / VALUE_DAYS)
    year_known = np.clip((as_of + 1 - shop.first) / (365 * DAY_MS), _LEAST_YEAR, 1.0)
    size = (log_basket * baskets + _TYPICAL_LOG_BASKET * _TYPICAL_WEIGHT) / (baskets + _TYPICAL_WEIGHT)
    value = (
        _LIKELY * np.log(buys + _LEAST)
        + _LAST_YEAR * (log_revenue_year - np.log(year_known) + pace)
        + _FADED * (log_amount + pace)
        + _EXPECTED * (purchases + log_mean_basket)
        + _SIZE * (size - log_mean_basket)
    )
    return np.column_stack(
        [
            *(_log_odds(1.0 - share) for share in still),
            np.log1p(silence),
            np.log1p(tenure),
            np.log1p(baskets),
            baskets == 1,
            _log_odds(alive),
            _log_odds(buys),
            purchases,
            purchases + log_mean_basket,
            value,
        ]
    )


def _log_odds(probability: Floats) -> Floats:
    inside = np.clip(probability, _LEAST, 1 - _LEAST)
    return np.asarray(np.log(inside / (1 - inside)))
