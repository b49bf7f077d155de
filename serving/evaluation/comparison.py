"""Figures of several forecasts of the same customers at one cut-off, and how sure it is that one is better.

A forecast may say only a part (an item ranking says nothing of churn); a figure is missing where it, or the truth, is.
Called by ``serving.evaluation.report``.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Final, Literal, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from serving.evaluation import metrics
from serving.evaluation.bootstrap import Draws, Interval, Metric, Rows, interval
from serving.evaluation.truth import Truth

Floats = npt.NDArray[np.float64]

MODEL: Final = "model"

REVENUE_CAP: Final = 21_278.0
"""Above it lie a dozen wholesalers in five thousand customers, who alone decide an uncapped error."""

_TOP: Final = 0.1
_RECALL_AT: Final = 20
_NDCG_AT: Final = 10


Verdict = Literal["better", "alike", "worse"]


class Forecast(NamedTuple):
    """What somebody said of N customers; what was not said is left out."""

    churn: Mapping[int, Floats] = {}
    """By horizon in days: float64[N]."""
    revenue_mean: Floats | None = None
    revenue_median: Floats | None = None
    items: Sequence[Sequence[str]] | None = None
    new_items: Sequence[Sequence[str]] | None = None


class Figure(msgspec.Struct, frozen=True):
    """One metric at one cut-off."""

    metric: str
    higher_is_better: bool
    values: dict[str, float]
    """By who made the forecast."""
    best_baseline: str
    """Empty where no baseline has the figure."""
    difference: float
    """The model's figure less the best baseline's; where neither direction is better, of their distances from what is
    right: |ln slope| for slopes, |bias| for ``value_180d_bias``."""
    interval: Interval
    """95 %, paired by customer."""

    @property
    def verdict(self) -> Verdict:
        """By the interval, not by the figure: what chance alone could have made is no difference."""
        low, high = self.interval if self.higher_is_better else (-self.interval.high, -self.interval.low)
        return "better" if low > 0 else "worse" if high < 0 else "alike"


class _Measured(NamedTuple):
    name: str
    higher_is_better: bool
    of: Callable[[Forecast], Metric | None]
    """What a forecast's figure is over some rows; None where the forecast does not say it."""
    merit: Callable[[float], float] = float
    """By which figures are compared."""


def compare(
    forecasts: Mapping[str, Forecast], truth: Truth, draws: Draws, wanted: Collection[str] | None = None
) -> list[Figure]:
    """All figures of all forecasts. The forecast named ``MODEL`` is compared with the best of the others.

    Args:
        wanted: metrics to be measured; None: all.
    """
    found: list[Figure] = []
    for measured in _measures(truth):
        if wanted is not None and measured.name not in wanted:
            continue
        asked = {name: measured.of(forecast) for name, forecast in forecasts.items()}
        figures = {name: metric for name, metric in asked.items() if metric is not None}
        everybody = np.arange(len(truth.baskets))
        values = {name: float(metric(everybody)) for name, metric in figures.items()}
        sign = 1.0 if measured.higher_is_better else -1.0
        others = [name for name, value in values.items() if name != MODEL and np.isfinite(value)]
        best = max(others, key=lambda name: sign * measured.merit(values[name]), default="")
        difference, ends = float("nan"), Interval(float("nan"), float("nan"))
        if best and MODEL in values:
            mine = np.array([measured.merit(value) for value in draws.values(figures[MODEL])])
            theirs = np.array([measured.merit(value) for value in draws.values(figures[best])])
            difference = float(measured.merit(values[MODEL]) - measured.merit(values[best]))
            ends = interval(mine - theirs)
        found.append(Figure(measured.name, measured.higher_is_better, values, best, difference, ends))
    return found


def _measures(truth: Truth) -> Iterator[_Measured]:
    for days, churned in truth.churned.items():
        yield from _of_churn(days, churned)
    if truth.revenue is not None:
        yield from _of_revenue(truth.revenue)
    yield from _of_baskets("", truth.baskets, lambda forecast: forecast.items)
    yield from _of_baskets("new_", truth.new_baskets, lambda forecast: forecast.new_items)


def _of_churn(days: int, churned: npt.NDArray[np.bool_]) -> Iterator[_Measured]:
    def over(metric: Callable[[npt.NDArray[np.bool_], Floats], float]) -> Callable[[Forecast], Metric | None]:
        def of(forecast: Forecast) -> Metric | None:
            said = forecast.churn.get(days)
            return None if said is None else lambda rows: metric(churned[rows], said[rows])

        return of

    name = f"churn_{days}d"
    yield _Measured(f"{name}_auc", True, over(metrics.auc))
    yield _Measured(f"{name}_ap", True, over(metrics.average_precision))
    yield _Measured(f"{name}_brier", False, over(metrics.brier))
    yield _Measured(f"{name}_ece", False, over(metrics.ece))
    yield _Measured(f"{name}_precision_top_10", True, over(lambda c, said: metrics.precision_at(c, said, _TOP)))
    yield _Measured(
        f"{name}_slope", False, over(metrics.calibration_slope), lambda slope: abs(np.log(max(slope, 1e-6)))
    )


def _of_revenue(revenue: Floats) -> Iterator[_Measured]:
    capped = np.minimum(revenue, REVENUE_CAP)

    def over(
        metric: Callable[[Rows, Floats], float], which: Callable[[Forecast], Floats | None]
    ) -> Callable[[Forecast], Metric | None]:
        def of(forecast: Forecast) -> Metric | None:
            said = which(forecast)
            return None if said is None else lambda rows: metric(rows, said[rows])

        return of

    def mean(forecast: Forecast) -> Floats | None:
        return forecast.revenue_mean

    def median(forecast: Forecast) -> Floats | None:
        return forecast.revenue_median

    yield _Measured("value_180d_spearman", True, over(lambda r, said: metrics.spearman(revenue[r], said), mean))
    yield _Measured("value_180d_gini", True, over(lambda r, said: metrics.gini(revenue[r], said), mean))
    bias = over(lambda r, said: _bias(revenue[r], said), mean)
    yield _Measured("value_180d_bias", False, bias, abs)
    yield _Measured("value_180d_mae", False, over(lambda r, said: float(np.abs(revenue[r] - said).mean()), median))
    capped_error = over(lambda r, said: float(np.abs(capped[r] - np.minimum(said, REVENUE_CAP)).mean()), median)
    yield _Measured("value_180d_mae_capped", False, capped_error)


def _bias(revenue: Floats, said: Floats) -> float:
    """How far the total lies off; NaN where nothing was bought."""
    total = float(revenue.sum())
    return float(said.sum()) / total - 1 if total else float("nan")


def _of_baskets(
    prefix: str, baskets: Sequence[frozenset[str]], which: Callable[[Forecast], Sequence[Sequence[str]] | None]
) -> Iterator[_Measured]:
    def over(
        metric: Callable[[Sequence[Sequence[str]], Sequence[frozenset[str]], int], Floats], k: int
    ) -> Callable[[Forecast], Metric | None]:
        def of(forecast: Forecast) -> Metric | None:
            ranked = which(forecast)
            if ranked is None:
                return None
            each = metric(ranked, baskets, k)
            return lambda rows: _mean(each[rows])

        return of

    yield _Measured(f"{prefix}recall_{_RECALL_AT}", True, over(metrics.recalls_at, _RECALL_AT))
    yield _Measured(f"{prefix}ndcg_{_NDCG_AT}", True, over(metrics.ndcgs_at, _NDCG_AT))


def _mean(values: Floats) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else float("nan")
