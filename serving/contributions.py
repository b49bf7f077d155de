"""From Shapley values to contributions: each with the figure by which a person can check it, the customer's and the
reference's.

The figures are read from the very statistics that the network saw. ``stream.workers.explaining`` calls it; how a
contribution is worded is ``stream.operations.sentences``' business.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from serving.attribution import CODES, Explanation, Floats, shapley
from serving.statistics import STATISTICS
from stream.contracts.scores import Contribution

CONTRIBUTION_DIGITS: Final = 4
"""Eight groups then add up to the whole within 0.0004."""

_STARS: Final = 5.0
_COLUMN: Final = {name: column for column, name in enumerate(STATISTICS)}


class _Figure(NamedTuple):
    statistic: str
    unit: str
    read: Callable[[float], float]
    needs: str = ""
    """A statistic that is 0 where there is no such figure."""


_FIGURES: Final = {
    "silence": _Figure("silence_in_gaps", "own_gaps", np.exp),
    "rhythm": _Figure("baskets_within_365d", "orders_365d", np.expm1),
    "spending": _Figure("revenue_365d", "revenue_365d", np.expm1),
    "assortment": _Figure("lines_a_basket", "lines_an_order", np.expm1),
    "cart": _Figure("carts_30d", "changes_decayed", np.expm1),
    "visits": _Figure("browses_30d", "items_decayed", np.expm1),
    "returns": _Figure("returns_30d", "returns_decayed", np.expm1),
    "opinion": _Figure("mean_rating", "stars", lambda share: share * _STARS, "has_rating"),
}

_FIRST_SILENCE: Final = _Figure("calendar_recency_days", "days_silent", np.expm1)
"""Of somebody who bought once, and so has no gap of their own."""


def contributions(explained: Explanation, values: Floats) -> list[Contribution]:
    """What each group did to the score, by strength; what speaks for churn comes first. Groups that did nothing are
    left out.

    Args:
        explained: one customer's coalitions.
        values: float64[2^n]: what the network said to each.
    """
    reference, own = explained.tensors["stats"][0], explained.tensors["stats"][-1]
    found = [
        _contribution(CODES[group], round(float(brought), CONTRIBUTION_DIGITS), own, reference)
        for group, brought in zip(explained.players, shapley(values), strict=True)
    ]
    return sorted(
        (each for each in found if each.contribution), key=lambda each: (each.contribution < 0, -abs(each.contribution))
    )


def _contribution(code: str, brought: float, own: npt.NDArray[Any], reference: npt.NDArray[Any]) -> Contribution:
    figure = _FIGURES[code]
    if code == "silence" and own[_COLUMN["one_basket"]]:
        figure = _FIRST_SILENCE
    return Contribution(
        code=code,
        value=_read(figure, own) or 0.0,
        unit=figure.unit,
        reference=_read(figure, reference),
        contribution=brought,
    )


def _read(figure: _Figure, stats: npt.NDArray[Any]) -> float | None:
    if figure.needs and not stats[_COLUMN[figure.needs]]:
        return None
    return round(float(figure.read(float(stats[_COLUMN[figure.statistic]]))), 2)
