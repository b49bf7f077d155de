"""What the model has to beat: recency, RFM, the last year's revenue, what sells, what the customer bought before.

Each knows only what happened before the cut-off, and none sees a profile: they are made from the purchases alone, as
an analyst would. Called by ``serving.evaluation.report``.
"""

from __future__ import annotations

from collections import Counter
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
"""Columns of ``rfm`` that a churn baseline reads."""

_STEP_DAYS: Final = 28
_HALF_LIFE_DAYS: Final = 90.0
_POPULAR_DAYS: Final = 30
_SMALLEST: Final = 200


def rfm(journey: Journey, as_of: int) -> tuple[float, float, float]:
    """Log of recency in days, of baskets, and of revenue, each of one plus, up to and including ``as_of``."""
    known = int(np.searchsorted(journey.times, as_of, side="right"))
    days = np.unique(journey.times[:known] // DAY_MS)
    recency = (as_of - journey.times[known - 1]) / DAY_MS
    return float(np.log1p(recency)), float(np.log1p(len(days))), float(np.log1p(journey.revenue[:known].sum()))


def eligible(journeys: Mapping[str, Journey], as_of: int, days: int = 365) -> list[str]:
    """Customers with a purchase in the ``days`` up to ``as_of``, sorted."""
    since = as_of - days * DAY_MS
    return sorted(
        customer
        for customer, journey in journeys.items()
        if np.searchsorted(journey.times, as_of, side="right") > np.searchsorted(journey.times, since, side="right")
    )


class PastCutoffs(NamedTuple):
    """M rows: a customer at an earlier cut-off, and how long the next purchase took."""

    features: Floats
    """float64[M, 3], see ``rfm``."""
    as_of: npt.NDArray[np.int64]
    waited_ms: Floats
    """float64[M]: until the next purchase; infinite when none is known."""


def past_cutoffs(journeys: Mapping[str, Journey], as_of: int) -> PastCutoffs:
    """Every eligible customer at cut-offs four weeks apart, as known at ``as_of``."""
    first = min((int(journey.times[0]) for journey in journeys.values()), default=as_of) + 90 * DAY_MS
    rows: list[tuple[tuple[float, ...], int, float]] = []
    for cutoff in range(as_of - 30 * DAY_MS, first, -_STEP_DAYS * DAY_MS):
        for customer in eligible(journeys, cutoff):
            journey = journeys[customer]
            following = int(np.searchsorted(journey.times, cutoff, side="right"))
            bought = following < len(journey.times) and journey.times[following] <= as_of
            waited = float(journey.times[following] - cutoff) if bought else np.inf
            rows.append((rfm(journey, cutoff), cutoff, waited))
    return PastCutoffs(
        np.array([features for features, _, _ in rows], np.float64).reshape(-1, len(RFM)),
        np.array([cutoff for _, cutoff, _ in rows], np.int64),
        np.array([waited for _, _, waited in rows], np.float64),
    )


def churn_baseline(past: PastCutoffs, as_of: int, horizon_days: int, columns: Sequence[int]) -> Logistic | None:
    """Logistic regression on columns of ``rfm``, at cut-offs whose outcomes are known at ``as_of``.

    None where the history is too short.
    """
    known = past.as_of + horizon_days * DAY_MS <= as_of
    churned = past.waited_ms[known] > horizon_days * DAY_MS
    if len(churned) < _SMALLEST or churned.all() or not churned.any():
        return None
    return fit_logistic(past.features[known][:, list(columns)], churned)


def last_year_revenue(journey: Journey, as_of: int) -> float:
    """Gross revenue of the 365 days up to ``as_of``."""
    window = (journey.times > as_of - 365 * DAY_MS) & (journey.times <= as_of)
    return float(journey.revenue[window].sum())


def popular_items(journeys: Mapping[str, Journey], as_of: int, days: int = _POPULAR_DAYS) -> list[str]:
    """Items by the number of customers who bought them in the ``days`` up to ``as_of``, ties by id."""
    buyers: Counter[str] = Counter()
    for journey in journeys.values():
        window = np.flatnonzero((journey.times > as_of - days * DAY_MS) & (journey.times <= as_of))
        buyers.update({item for i in window for item in journey.items[i]})
    return [item for item, _ in sorted(buyers.items(), key=lambda entry: (-entry[1], entry[0]))]


def own_repeats(journey: Journey, as_of: int) -> list[str]:
    """The customer's own items by decayed count (half-life 90 days), ties by id."""
    counts: dict[str, float] = {}
    for i in np.flatnonzero(journey.times <= as_of):
        weight = 2.0 ** ((int(journey.times[i]) - as_of) / (_HALF_LIFE_DAYS * DAY_MS))
        for item in journey.items[i]:
            counts[item] = counts.get(item, 0.0) + weight
    return [item for item, _ in sorted(counts.items(), key=lambda entry: (-entry[1], entry[0]))]
