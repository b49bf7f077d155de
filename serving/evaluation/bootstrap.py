"""Paired bootstrap intervals: how far the difference of two forecasts of the same customers may be chance.

Customers are drawn with replacement, the same ones for both sides (Efron, Tibshirani 1993). Called by
``serving.evaluation.comparison``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

Rows = npt.NDArray[np.intp]
Metric = Callable[[Rows], float]
"""A figure over the customers of these rows, which may come several times."""

DRAWS: Final = 300
"""Enough for the ends of a 95 % interval to a tenth of its width."""

FEWEST_DRAWS: Final = 60
_MOST_ROWS: Final = 2_000_000

_SEED: Final = 20110609
_TAILS: Final = (2.5, 97.5)


class Interval(NamedTuple):
    """95 % of the draws lie within."""

    low: float
    high: float


UNKNOWN: Final = Interval(float("nan"), float("nan"))


class Draws:
    """Draws of ``customers`` rows, the same for every metric and every forecast: differences are paired."""

    def __init__(self, customers: int, draws: int = DRAWS) -> None:
        # Where there are many customers intervals are narrow anyway, and each draw takes long.
        draws = min(draws, max(FEWEST_DRAWS, _MOST_ROWS // max(customers, 1)))
        random = np.random.default_rng(_SEED)
        self._customers = customers
        self._rows = [random.integers(0, customers, customers) for _ in range(draws if customers else 0)]

    def values(self, metric: Metric) -> npt.NDArray[np.float64]:
        """float64[draws]: the figure in each draw, NaN where it has none."""
        return np.array([metric(rows) for rows in self._rows])

    def curves(self, curve: Callable[[Rows], npt.NDArray[np.float64]]) -> npt.NDArray[np.float64]:
        """float64[draws, points]: the same of several figures at once."""
        return np.array([curve(rows) for rows in self._rows])

    def weights(self) -> npt.NDArray[np.float32]:
        """float32[draws, customers]: how often each customer was drawn, for figures that are sums over customers."""
        return np.array([np.bincount(rows, minlength=self._customers) for rows in self._rows], np.float32).reshape(
            len(self._rows), self._customers
        )


def interval(values: npt.NDArray[np.float64]) -> Interval:
    """The middle 95 % of the draws that have a figure; NaN without any."""
    known = values[np.isfinite(values)]
    if not len(known):
        return UNKNOWN
    low, high = np.percentile(known, _TAILS)
    return Interval(float(low), float(high))
