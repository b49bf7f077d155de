"""The purchases as an analyst's table: recency, frequency, monetary value and more, now and at earlier cut-offs.

Half of the baselines read this table. Called by ``serving.evaluation.baselines.forecasts`` and by the other baselines.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from serving.evaluation.logistic import Logistic, fit_logistic
from serving.history import Journey
from stream.contracts.times import DAY_MS

Floats = npt.NDArray[np.float64]

RECENCY: Final = (0,)
RFM: Final = (0, 1, 2)
"""Columns of the table that a churn baseline reads."""

_WINDOWS_DAYS: Final = (30, 60, 90, 180, 365)
_NEWEST: Final = 3
_NO_GAP_DAYS: Final = 999.0

_STEP_DAYS: Final = 28
_COLUMNS: Final = 27
_SMALLEST: Final = 200
_MOST_ROWS: Final = 120_000
"""Rows of earlier cut-offs that are fitted on; a larger shop is sampled by customer."""


def rfm(journey: Journey, as_of: int) -> tuple[float, float, float]:
    """Log of recency in days, of baskets, and of revenue, each of one plus, up to and including ``as_of``."""
    known = int(np.searchsorted(journey.times, as_of, side="right"))
    days = np.unique(journey.times[:known] // DAY_MS)
    recency = (as_of - journey.times[known - 1]) / DAY_MS
    return float(np.log1p(recency)), float(np.log1p(len(days))), float(np.log1p(journey.revenue[:known].sum()))


def table_row(journey: Journey, as_of: int) -> list[float]:
    """``rfm``, and 24 more: tenure, gaps, baskets and revenue of windows, the newest baskets, breadth, season."""
    known = int(np.searchsorted(journey.times, as_of, side="right"))
    days, of_day = np.unique(journey.times[:known] // DAY_MS, return_inverse=True)
    revenue = np.bincount(of_day, journey.revenue[:known])
    ages = (as_of + 1) / DAY_MS - days
    gaps = np.diff(days).astype(np.float64)
    row = [*rfm(journey, as_of), float(np.log1p(ages[0]))]
    row += [float(gaps.mean()), float(gaps.std()), float(ages[-1] / (gaps.mean() + 1))] if len(gaps) else [90.0, 0, 0]
    for window in _WINDOWS_DAYS:
        within = ages <= window
        row += [float(within.sum()), float(np.log1p(revenue[within].sum()))]
    newest_gaps = [*gaps[::-1][:_NEWEST], *[_NO_GAP_DAYS] * _NEWEST][:_NEWEST]
    newest = [*np.log1p(revenue[::-1][:_NEWEST]), *[0.0] * _NEWEST][:_NEWEST]
    items = [len(ids) for ids in journey.items[:known]]
    season = 2 * np.pi * ((as_of + 1) // DAY_MS % 365) / 365
    row += [float(value) for value in (*newest_gaps, *newest)]
    row += [float(np.log1p(revenue.mean())), float(np.mean(items)), float(np.sin(season)), float(np.cos(season))]
    return row


def eligible(journeys: Mapping[str, Journey], as_of: int, days: int = 365) -> list[str]:
    """Customers with a purchase in the ``days`` up to ``as_of``, sorted."""
    since = as_of - days * DAY_MS
    return sorted(
        customer
        for customer, journey in journeys.items()
        if np.searchsorted(journey.times, as_of, side="right") > np.searchsorted(journey.times, since, side="right")
    )


class PastCutoffs(NamedTuple):
    """M rows: a customer at an earlier cut-off, and what happened until the one that is evaluated."""

    customers: list[str]
    features: Floats
    """float64[M, F], see ``table_row``."""
    as_of: npt.NDArray[np.int64]
    waited_ms: Floats
    """float64[M]: until the next purchase; infinite when none is known."""
    revenue: Floats
    """float64[M]: of the 180 days after; -1 where they are not over."""

    def known(self, as_of: int, horizon_days: int) -> npt.NDArray[np.bool_]:
        """bool[M]: the horizon is over at ``as_of``."""
        return np.asarray(self.as_of + horizon_days * DAY_MS <= as_of)


def past_cutoffs(journeys: Mapping[str, Journey], as_of: int) -> PastCutoffs:
    """Every eligible customer at cut-offs four weeks apart, as known at ``as_of``."""
    first = min((int(journey.times[0]) for journey in journeys.values()), default=as_of) + 90 * DAY_MS
    moments = range(as_of - 30 * DAY_MS, first, -_STEP_DAYS * DAY_MS)
    kept = sorted(journeys)[:: 1 + len(journeys) * len(moments) // _MOST_ROWS]
    some = {customer: journeys[customer] for customer in kept}
    customers: list[str] = []
    features: list[list[float]] = []
    cutoffs: list[int] = []
    waited: list[float] = []
    revenue: list[float] = []
    for cutoff in moments:
        for customer in eligible(some, cutoff):
            journey = some[customer]
            following = int(np.searchsorted(journey.times, cutoff, side="right"))
            bought = following < len(journey.times) and journey.times[following] <= as_of
            window = cutoff + 180 * DAY_MS
            until = int(np.searchsorted(journey.times, window, side="right"))
            customers.append(customer)
            features.append(table_row(journey, cutoff))
            cutoffs.append(cutoff)
            waited.append(float(journey.times[following] - cutoff) if bought else np.inf)
            revenue.append(float(journey.revenue[following:until].sum()) if window <= as_of else -1.0)
    return PastCutoffs(
        customers,
        np.array(features, np.float64).reshape(len(customers), _COLUMNS),
        np.array(cutoffs, np.int64),
        np.array(waited, np.float64),
        np.array(revenue, np.float64),
    )


def churn_baseline(past: PastCutoffs, as_of: int, horizon_days: int, columns: Sequence[int]) -> Logistic | None:
    """Logistic regression on columns of the table, at cut-offs whose outcomes are known at ``as_of``.

    None where the history is too short.
    """
    known = past.known(as_of, horizon_days)
    churned = past.waited_ms[known] > horizon_days * DAY_MS
    if len(churned) < _SMALLEST or churned.all() or not churned.any():
        return None
    return fit_logistic(past.features[known][:, list(columns)], churned)


def last_year_revenue(journey: Journey, as_of: int) -> float:
    """Gross revenue of the 365 days up to ``as_of``."""
    window = (journey.times > as_of - 365 * DAY_MS) & (journey.times <= as_of)
    return float(journey.revenue[window].sum())
