"""How much examples and customers weigh: the young more than the old, and nobody more than a bound.

The bounds are what keeps one customer, or a burst of events of one, from teaching the model. On Online Retail II
nobody reaches them. Called by ``serving.training.fit``.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

_ROUNDS: Final = 50


def by_age(as_of: npt.NDArray[np.int64], half_life_ms: float) -> Floats:
    """float64[N], adding up to 1: an example weighs half of one that is ``half_life_ms`` younger."""
    weight = np.exp2((as_of - as_of.max()) / half_life_ms)
    return np.asarray(weight / weight.sum())


def bounded(weight: Floats, customer: npt.NDArray[np.intp], times_median: float) -> Floats:
    """float64[N], adding up to 1: no customer's examples together weigh more than ``times_median`` times the median
    customer's.

    Args:
        weight: float64[N] of the examples.
        customer: intp[N], whose each is.
    """
    totals = np.bincount(customer, weight)
    most = times_median * float(np.median(totals[totals > 0]))
    if totals.max() <= most:
        return weight
    scaled = weight * (most / np.maximum(totals, most))[customer]
    return np.asarray(scaled / scaled.sum())


def winsorised(
    value: npt.NDArray[np.floating[Any]], weight: Floats, customer: npt.NDArray[np.intp], share: float
) -> Floats:
    """float64[N]: values scaled down so that no customer's weighted sum is more than ``share`` of everybody's.

    Args:
        value: float64[N], not negative.
        weight: float64[N] of each.
        customer: intp[N], whose each is.
        share: at least twice an equal share is allowed, so that a few customers do not scale each other to nothing.
    """
    totals = np.bincount(customer, weight * value)
    share = max(share, 2.0 / max(int((totals > 0).sum()), 1))
    most = float(totals.max(initial=0.0))
    if most <= share * totals.sum():
        return np.asarray(value, np.float64)
    # What is cut off makes the sum smaller, and with it what is allowed: down to the fixed point.
    for _ in range(_ROUNDS):
        most = share * float(np.minimum(totals, most).sum())
    return np.asarray(value * (most / np.maximum(totals, most))[customer])
