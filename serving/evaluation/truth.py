"""What customers did after a cut-off, as far as it is known: the side of an evaluation that no model has seen.

Made from the purchases alone. Called by ``serving.evaluation.comparison`` and by ``tidemark evaluate``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from serving.evaluation.baselines.rfm import rfm
from serving.history import Journey, outcome
from serving.model_card import HORIZONS_DAYS


class Truth(NamedTuple):
    """What N customers did; lists and arrays are in their order."""

    churned: dict[int, npt.NDArray[np.bool_]]
    """By horizon in days, those of which are over: bool[N], no purchase within it."""
    revenue: npt.NDArray[np.float64] | None
    """float64[N]: gross revenue of the 180 days after the cut-off; None while they are not over."""
    baskets: list[frozenset[str]]
    """Items of the first day with a purchase; empty where none is known."""
    new_baskets: list[frozenset[str]]
    """The same without what was bought before the cut-off."""
    history: npt.NDArray[np.int64]
    """int64[N]: baskets before the cut-off."""
    recency_days: npt.NDArray[np.float64]
    """float64[N]: days from the last purchase to the cut-off."""

    @classmethod
    def of_churn(cls, churned: dict[int, npt.NDArray[np.bool_]]) -> Truth:
        """Of N customers of whom nothing else counts."""
        customers = len(next(iter(churned.values())))
        nothing: list[frozenset[str]] = [frozenset()] * customers
        return cls(churned, None, nothing, nothing, np.zeros(customers, np.int64), np.zeros(customers))


def truth_after(journeys: Mapping[str, Journey], customers: Sequence[str], as_of: int, until: int) -> Truth:
    """What ``customers`` did in ``(as_of, until]``, both epoch milliseconds."""
    own = [journeys[customer] for customer in customers]
    outcomes = [outcome(journey, as_of, until, HORIZONS_DAYS) for journey in own]
    bought = np.array([each.bought for each in outcomes], np.float64).reshape(-1, len(HORIZONS_DAYS))
    churned = {
        days: (bought[:, : place + 1] == 0).all(axis=1)
        for place, days in enumerate(HORIZONS_DAYS)
        if len(bought) and (bought[:, place] >= 0).all()
    }
    revenue = np.array([each.revenue for each in outcomes], np.float64)
    simple = np.array([rfm(journey, as_of) for journey in own], np.float64).reshape(-1, 3)
    baskets = [frozenset(each.basket) for each in outcomes]
    return Truth(
        churned,
        revenue if len(revenue) and (revenue >= 0).all() else None,
        baskets,
        [basket - bought_before(journey, as_of) for basket, journey in zip(baskets, own, strict=True)],
        np.rint(np.expm1(simple[:, 1])).astype(np.int64),
        np.expm1(simple[:, 0]),
    )


def bought_before(journey: Journey, as_of: int) -> frozenset[str]:
    """Items that the customer bought up to and including ``as_of``."""
    known = int(np.searchsorted(journey.times, as_of, side="right"))
    return frozenset(item for items in journey.items[:known] for item in items)
