"""BG/NBD as a baseline: expected purchases in the horizon, as a churn score and times the own mean basket as value.

The probability of being alive is no churn score: it is 1 for everybody who bought once. Called by
``serving.evaluation.baselines.forecasts``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from serving.evaluation.logistic import Logistic, fit_logistic
from serving.history import Journey
from serving.purchase_rates import PurchaseRates, fit_purchase_rates
from stream.contracts.times import DAY_MS

Floats = npt.NDArray[np.float64]

_WEEK_DAYS: Final = 7.0
_LEAST: Final = 1e-6
_SMALLEST: Final = 200
_MOST_FITTED: Final = 50_000


class Counted(NamedTuple):
    """What BG/NBD reads of N customers, in weeks; a basket is a customer's day."""

    repeats: Floats
    last: Floats
    age: Floats


def counted(journeys: Sequence[Journey], as_of: Sequence[int]) -> Counted:
    """The purchases of each journey up to and including its moment."""
    rows = np.empty((len(journeys), 3))
    for row, (journey, moment) in enumerate(zip(journeys, as_of, strict=True)):
        days = np.unique(journey.times[: int(np.searchsorted(journey.times, moment, side="right"))] // DAY_MS)
        rows[row] = len(days) - 1, days[-1] - days[0], (moment + 1) / DAY_MS - days[0]
    return Counted(rows[:, 0], rows[:, 1] / _WEEK_DAYS, rows[:, 2] / _WEEK_DAYS)


class BuyTillYouDie(NamedTuple):
    """Parameters fitted to everybody who bought before a cut-off."""

    rates: PurchaseRates

    @classmethod
    def fit(cls, journeys: Mapping[str, Journey], as_of: int) -> BuyTillYouDie:
        """Fit on what was known at ``as_of``; of a large shop on a sample."""
        known = [journeys[customer] for customer in sorted(journeys) if journeys[customer].times[0] <= as_of]
        known = known[:: 1 + len(known) // _MOST_FITTED]
        return cls(fit_purchase_rates(*counted(known, [as_of] * len(known))))

    def purchases(self, seen: Counted, days: int) -> Floats:
        """float64[N]: expected purchases within ``days``."""
        return self.rates.expected(*seen, days / _WEEK_DAYS)


def platt(purchases: Floats, churned: npt.NDArray[np.bool_]) -> Logistic | None:
    """Churn from the log of expected purchases, by outcomes of earlier cut-offs; None where they say nothing."""
    if len(churned) < _SMALLEST or churned.all() or not churned.any():
        return None
    return fit_logistic(log_purchases(purchases), churned)


def log_purchases(purchases: Floats) -> Floats:
    """float64[N, 1]."""
    return np.log(np.maximum(purchases, _LEAST))[:, None]
