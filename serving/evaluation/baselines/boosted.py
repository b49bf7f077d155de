"""LightGBM on the analyst's table, where the package is installed: the strongest baseline of an afternoon.

Called by ``serving.evaluation.baselines.forecasts``.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from serving.evaluation.baselines.rfm import PastCutoffs
from serving.evaluation.comparison import Forecast
from serving.model_card import HORIZONS_DAYS
from stream.contracts.times import DAY_MS

Floats = npt.NDArray[np.float64]
Predictor = Callable[[Floats], Floats]

_ROUNDS: Final = 200
_SMALLEST: Final = 500
COMMON: Final[dict[str, Any]] = {
    "num_leaves": 15,
    "learning_rate": 0.04,
    "min_data_in_leaf": 100,
    "feature_fraction": 0.5,
    "bagging_fraction": 0.7,
    "bagging_freq": 1,
    "lambda_l2": 5.0,
    "verbose": -1,
    "num_threads": 1,
    "seed": 1,
    "deterministic": True,
}
"""Parameters of every booster here."""


def boosting_installed() -> bool:
    """Whether there can be such a forecast at all."""
    return importlib.util.find_spec("lightgbm") is not None


def boosted_forecast(past: PastCutoffs, as_of: int, table: Floats) -> Forecast | None:
    """Churn of each horizon, and value in two stages: whether anything is bought, times how much (on a log scale).

    None where LightGBM is not installed or the history is too short.
    """
    if not boosting_installed():
        return None
    # It has no types; this is the only place that needs it.
    lightgbm: Any = importlib.import_module("lightgbm")

    def fit(objective: str, rows: npt.NDArray[np.bool_], label: Floats) -> Predictor:
        data = lightgbm.Dataset(past.features[rows], label)
        booster = lightgbm.train({**COMMON, "objective": objective}, data, _ROUNDS)
        return lambda features: np.asarray(booster.predict(features), np.float64)

    churn: dict[int, Floats] = {}
    for days in HORIZONS_DAYS:
        rows = past.known(as_of, days)
        if rows.sum() >= _SMALLEST:
            churned = (past.waited_ms[rows] > days * DAY_MS).astype(np.float64)
            churn[days] = fit("binary", rows, churned)(table)
    if not churn:
        return None
    over, buyers = past.revenue >= 0, past.revenue > 0
    if buyers.sum() < _SMALLEST:
        return Forecast(churn=churn)
    buys = fit("binary", over, (past.revenue[over] > 0).astype(np.float64))(table)
    location = fit("regression", buyers, np.log(past.revenue[buyers]))
    # A log-normal's mean lies above its median, by as much as it did where it was fitted.
    spread = past.revenue[buyers].mean() / np.exp(location(past.features[buyers])).mean()
    median = np.exp(location(table))
    return Forecast(churn=churn, revenue_mean=buys * median * spread, revenue_median=np.where(buys > 0.5, median, 0.0))
