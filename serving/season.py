"""The shop's year: how much it sells on each day of it, and a clock that runs faster when it sells more.

Ninety days of silence before Christmas say more than ninety days after it, so the features measure waiting in shop
days: a calendar day counts as many as it sells, 365 a year. A model of earlier months then holds in the next season.
Learned by ``serving.training`` from the purchases, kept beside the network in ``serving.shop``, read by
``serving.statistics``.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from stream.contracts.times import DAY_MS
from stream.profiles import decay

if TYPE_CHECKING:
    from serving.history import Journey

Floats = npt.NDArray[np.float64]

DAYS: Final = 366
_YEAR: Final = 365
_SMOOTHED_DAYS: Final = 21
"""Three weeks: weekdays and single campaigns even out, Christmas stays."""

_LEAST: Final = 0.2
_MOST: Final = 5.0
"""A day counts within these: a shop that was closed for a month is no shop where time stands still."""

_YEARS: Final = 200
"""Years from 1970 on that the clock knows."""

_MEMORY_DAYS: Final = 3 * _YEAR
"""Days after which the longest half-life has forgotten."""


class Season:
    """Sales of each day of the year.

    Parameters
    ----------
    intensity
        float[366], 1 on average: 1 January first. The last is 31 December of leap years.

    Examples
    --------
    >>> Season.flat().elapsed(np.array([0, 86_400_000])).tolist()
    [0.0, 1.0]
    """

    def __init__(self, intensity: npt.ArrayLike) -> None:
        # As the file keeps it: a model is trained with the numbers that it is served with.
        self.intensity: Floats = np.asarray(intensity, np.float32).astype(np.float64)
        if self.intensity.shape != (DAYS,):
            raise ValueError(f"a season has {DAYS} days, not {self.intensity.shape}")

    @classmethod
    def flat(cls) -> Season:
        """Every day as the other: shop days are calendar days."""
        return cls(np.ones(DAYS))

    @classmethod
    def learned(cls, journeys: Iterable[Journey], until: int) -> Season:
        """From the customers' days with a purchase up to and including ``until`` (epoch milliseconds).

        The newest year counts; days of the year that were not seen count as the mean.
        """
        bought = [np.unique(j.times[j.times <= until] // DAY_MS) for j in journeys]
        days = np.concatenate([*bought, np.empty(0, np.int64)])
        if not len(days):
            return cls.flat()
        first, end = int(days.min()), (until + 1) // DAY_MS
        counted = np.bincount(days - first, minlength=end - first)
        seen = np.full(DAYS, np.nan)
        seen[_day_of_year(np.arange(first, end))] = counted
        mean = np.nanmean(seen)
        if mean <= 0:
            return cls.flat()
        filled = np.where(np.isnan(seen), mean, seen)[:_YEAR]
        around = np.concatenate([filled[-_SMOOTHED_DAYS // 2 :], filled, filled[: _SMOOTHED_DAYS // 2]])
        smooth = np.convolve(around, np.full(_SMOOTHED_DAYS, 1 / _SMOOTHED_DAYS), "valid")[:_YEAR]
        bounded = np.clip(smooth / smooth.mean(), _LEAST, _MOST)
        bounded /= bounded.mean()
        return cls(np.append(bounded, bounded[-1]))

    def elapsed(self, moments: npt.NDArray[np.int64]) -> Floats:
        """Shop days from 1970 to each of ``moments`` (epoch milliseconds, any shape): float64."""
        days = moments // DAY_MS
        starts, before = self._years
        year = np.searchsorted(starts, days, side="right") - 1
        of_year = days - starts[year]
        within = (moments - days * DAY_MS) / DAY_MS
        return np.asarray(before[year] + self._sums[of_year] + within * self.intensity[of_year])

    def level(self, moments: npt.NDArray[np.int64]) -> Floats:
        """What a sum that fades would hold at each of ``moments``, were one added every shop day, over what it holds in
        a flat year: float64[N, half-lives], in the order of ``decay.HALF_LIVES``."""
        return np.asarray(self._levels[_day_of_year(moments // DAY_MS)])

    @cached_property
    def _sums(self) -> Floats:
        return np.concatenate([[0.0], np.cumsum(self.intensity)])

    @cached_property
    def _years(self) -> tuple[npt.NDArray[np.int64], Floats]:
        starts = np.arange(_YEARS).astype("datetime64[Y]").astype("datetime64[D]").astype(np.int64)
        return starts, np.concatenate([[0.0], np.cumsum(self._sums[np.diff(starts)])])

    @cached_property
    def _levels(self) -> Floats:
        days = np.tile(self.intensity[:_YEAR], 1 + _MEMORY_DAYS // _YEAR)
        found = np.empty((DAYS, len(decay.HALF_LIVES)))
        for column, half_life in enumerate(decay.HALF_LIVES):
            kept = 0.5 ** (DAY_MS / half_life)
            level, run = 1.0, np.empty(len(days))
            for day, sold in enumerate(days.tolist()):
                level = level * kept + sold * (1.0 - kept)
                run[day] = level
            found[:_YEAR, column] = run[-_YEAR:]
        found[_YEAR] = found[_YEAR - 1]
        return found


def _day_of_year(days: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    dates = days.astype("datetime64[D]")
    return np.asarray((dates - dates.astype("datetime64[Y]").astype("datetime64[D]")).astype(np.int64))
