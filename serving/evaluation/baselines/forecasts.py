"""The forecasts of all baselines at one cut-off, by name.

Called by ``serving.evaluation.report``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from serving.evaluation.baselines.bgnbd import BuyTillYouDie, counted, log_purchases, platt
from serving.evaluation.baselines.boosted import boosted_forecast
from serving.evaluation.baselines.items import item_rankings
from serving.evaluation.baselines.rfm import (
    RECENCY,
    RFM,
    PastCutoffs,
    churn_baseline,
    last_year_revenue,
    past_cutoffs,
    table_row,
)
from serving.evaluation.comparison import Forecast
from serving.history import REVENUE_DAYS, Journey
from serving.model_card import HORIZONS_DAYS
from stream.contracts.times import DAY_MS

Floats = npt.NDArray[np.float64]

_YEAR_DAYS: Final = 365.0

_MEDIAN_OVER_MEAN: Final = 0.6
"""An analyst's guess at the median: what a customer spends in half a year is skewed."""


def baseline_forecasts(
    journeys: Mapping[str, Journey],
    customers: Sequence[str],
    as_of: int,
    report: Callable[[str], None] = lambda what: None,
    names: Mapping[str, str] | None = None,
) -> dict[str, Forecast]:
    """What the baselines say of ``customers`` with what was known at ``as_of`` (epoch milliseconds).

    Args:
        report: told what is being made.
        names: of items, for the baseline that reads them.
    """
    own = [journeys[customer] for customer in customers]
    report("table of earlier cut-offs")
    past = past_cutoffs(journeys, as_of)
    table = np.array([table_row(journey, as_of) for journey in own], np.float64).reshape(len(own), -1)
    found: dict[str, Forecast] = {}
    for name, columns in (("recency", RECENCY), ("rfm_logistic", RFM)):
        churn: dict[int, Floats] = {}
        for days in HORIZONS_DAYS:
            fitted = churn_baseline(past, as_of, days, columns)
            if fitted is not None:
                churn[days] = fitted.probability(table[:, list(columns)])
        found[name] = Forecast(churn=churn)
    last_year = np.array([last_year_revenue(journey, as_of) for journey in own]) * (REVENUE_DAYS / _YEAR_DAYS)
    found["last_year_revenue"] = Forecast(revenue_mean=last_year, revenue_median=last_year * _MEDIAN_OVER_MEAN)
    report("BG/NBD")
    found["bgnbd"] = _bgnbd(journeys, own, past, as_of)
    report("LightGBM")
    boosted = boosted_forecast(past, as_of, table)
    if boosted is not None:
        found["lightgbm"] = boosted
    report("items")
    for name, rankings in item_rankings(journeys, customers, as_of, names).items():
        found[name] = Forecast(items=rankings.items, new_items=rankings.new_items)
    return found


def _bgnbd(journeys: Mapping[str, Journey], own: Sequence[Journey], past: PastCutoffs, as_of: int) -> Forecast:
    model = BuyTillYouDie.fit(journeys, as_of)
    now = counted(own, [as_of] * len(own))
    then = counted([journeys[customer] for customer in past.customers], past.as_of.tolist())
    churn: dict[int, Floats] = {}
    for days in HORIZONS_DAYS:
        known = past.known(as_of, days)
        fitted = platt(model.purchases(then, days)[known], past.waited_ms[known] > days * DAY_MS)
        if fitted is not None:
            churn[days] = fitted.probability(log_purchases(model.purchases(now, days)))
    basket = np.array([_mean_basket(journey, as_of) for journey in own])
    mean = model.purchases(now, REVENUE_DAYS) * basket
    return Forecast(churn=churn, revenue_mean=mean, revenue_median=mean * _MEDIAN_OVER_MEAN)


def _mean_basket(journey: Journey, as_of: int) -> float:
    known = int(np.searchsorted(journey.times, as_of, side="right"))
    return float(journey.revenue[:known].sum() / len(np.unique(journey.times[:known] // DAY_MS)))
