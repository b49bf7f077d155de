"""The curves behind the figures: calibration by bins, gain and lift over the share of customers looked at, revenue by
deciles.

Points and their intervals, nothing drawn: ``serving.evaluation.page`` draws. Called by ``serving.evaluation.details``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt

from serving.evaluation import metrics
from serving.evaluation.bootstrap import Draws, Interval, interval
from serving.evaluation.comparison import MODEL, Forecast

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

BINS: Final = 10
SHARES: Final = (0.01, 0.02, 0.05, *(step / 20 for step in range(2, 21)))
"""Of customers, those with the highest scores first, at which gain and lift are read."""

_Z: Final = 1.959964
"""Two-sided 95 % of the normal distribution."""


class CalibrationBin(msgspec.Struct, frozen=True):
    """Customers with like forecasts."""

    customers: int
    said: float
    """Mean forecast."""
    observed: float
    """Share that churned."""
    interval: Interval
    """95 % of ``observed``, by Wilson's score (1927)."""


class Calibration(msgspec.Struct, frozen=True):
    """How the model's probabilities of one horizon compare with what happened."""

    horizon: str
    bins: list[CalibrationBin]
    """Of equal mass, the lowest forecasts first."""
    slope: float
    slope_interval: Interval
    intercept: float
    """Calibration in the large; see ``metrics.calibration_intercept``."""
    intercept_interval: Interval


class Gain(msgspec.Struct, frozen=True):
    """How many churners are among the customers with the highest scores, by share of customers looked at."""

    horizon: str
    shares: list[float]
    found: dict[str, list[float]]
    """By who made the forecast: share of all churners found at each of ``shares``."""
    intervals: list[Interval]
    """95 % of the model's."""
    perfect: list[float]
    """What nobody can exceed."""


class ValueDecile(msgspec.Struct, frozen=True):
    """A tenth of the customers, by predicted revenue."""

    customers: int
    said: float
    """Mean prediction."""
    actual: float
    """Mean revenue."""
    interval: Interval
    """95 % of ``actual``."""


def calibration(horizon_days: int, churned: Bools, said: Floats, draws: Draws) -> Calibration:
    """The curve of N customers, its slope and its intercept."""
    parts = [part for part in np.array_split(np.argsort(said, kind="stable"), BINS) if len(part)]
    return Calibration(
        f"{horizon_days}d",
        [
            CalibrationBin(
                len(part),
                float(said[part].mean()),
                float(churned[part].mean()),
                wilson(int(churned[part].sum()), len(part)),
            )
            for part in parts
        ],
        metrics.calibration_slope(churned, said),
        interval(draws.values(lambda rows: metrics.calibration_slope(churned[rows], said[rows]))),
        metrics.calibration_intercept(churned, said),
        interval(draws.values(lambda rows: metrics.calibration_intercept(churned[rows], said[rows]))),
    )


def wilson(successes: int, trials: int) -> Interval:
    """95 % of a share of ``trials``, above 0, that was seen ``successes`` times."""
    share, spread = successes / trials, _Z * _Z / trials
    centre = (share + spread / 2) / (1 + spread)
    half = _Z * np.sqrt(share * (1 - share) / trials + spread / (4 * trials)) / (1 + spread)
    return Interval(float(max(0.0, centre - half)), float(min(1.0, centre + half)))


def gain(horizon_days: int, churned: Bools, forecasts: Mapping[str, Forecast], draws: Draws) -> Gain:
    """The curves of everybody who says something of this horizon."""
    said = {
        name: forecast.churn[horizon_days] for name, forecast in forecasts.items() if horizon_days in forecast.churn
    }
    base_rate = float(churned.mean())
    drawn = draws.curves(lambda rows: _found(churned[rows], said[MODEL][rows]))
    return Gain(
        f"{horizon_days}d",
        list(SHARES),
        {name: _found(churned, scores).tolist() for name, scores in said.items()},
        [interval(drawn[:, place]) for place in range(len(SHARES))],
        [min(1.0, share / base_rate) if base_rate else float("nan") for share in SHARES],
    )


def _found(churned: Bools, said: Floats) -> Floats:
    """float64[shares]: share of the churners among the highest scores; NaN without churners."""
    total = int(churned.sum())
    if not total:
        return np.full(len(SHARES), np.nan)
    found = np.concatenate([[0], np.cumsum(churned[np.argsort(-said, kind="stable")])]) / total
    return np.asarray(np.interp(np.array(SHARES) * len(churned), np.arange(len(found)), found))


def value_deciles(revenue: Floats, said: Floats, draws: Draws) -> list[ValueDecile]:
    """Revenue by tenths of the prediction, the smallest first."""
    parts: Sequence[npt.NDArray[np.intp]] = np.array_split(np.argsort(said, kind="stable"), BINS)
    tenth = np.empty(len(said), np.intp)
    for place, part in enumerate(parts):
        tenth[part] = place

    def means(rows: npt.NDArray[np.intp]) -> Floats:
        counts = np.bincount(tenth[rows], minlength=BINS)
        return np.asarray(np.bincount(tenth[rows], revenue[rows], BINS) / np.maximum(counts, 1))

    drawn = draws.curves(means)
    return [
        ValueDecile(len(part), float(said[part].mean()), float(revenue[part].mean()), interval(drawn[:, place]))
        for place, part in enumerate(parts)
        if len(part)
    ]
