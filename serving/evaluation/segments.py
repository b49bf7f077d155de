"""Kinds of customers that a figure over everybody may hide: by baskets, recency, length of history, value, country.

Who is in which segment is decided with what was known before the cut-off alone. Called by
``serving.evaluation.details``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from serving.evaluation.baselines.rfm import last_year_revenue
from serving.evaluation.bootstrap import Draws
from serving.evaluation.comparison import MODEL, Figure, Forecast, compare
from serving.evaluation.truth import Truth
from serving.history import Journey
from stream.contracts.times import DAY_MS

FEW: Final = 30
"""Below so many customers, or where all of them did the same, nothing is said of a segment."""

_BASKETS: Final = (("1 basket", 1, 1), ("2 to 4", 2, 4), ("5 to 9", 5, 9), ("10 or more", 10, 1 << 30))
_RECENCY_DAYS: Final = (("0 to 30 days", 0, 30), ("31 to 90", 30, 90), ("91 to 180", 90, 180), ("181 to 365", 180, 365))
_TENURE_DAYS: Final = (
    ("under 90 days", 0, 90),
    ("90 to 179", 90, 180),
    ("180 to 364", 180, 365),
    ("a year or more", 365, 1 << 30),
)
_COUNTRIES: Final = 5
"""The largest; all others are one segment."""


class Groups(NamedTuple):
    """What tells customers apart that purchases alone do not."""

    high_value_from: float = float("inf")
    """Gross revenue of the 365 days before the cut-off from which a customer counts as of high value."""
    countries: Mapping[str, str] = {}
    """By customer, where known."""


class Segment(msgspec.Struct, frozen=True):
    """How the model did on some of the customers."""

    dimension: str
    name: str
    customers: int
    horizon: str
    base_rate: float
    """Share that churned."""
    said: float
    """Mean of what the model said."""
    figures: list[Figure]
    """AUC and Brier of churn within ``horizon``, against the best baseline of the segment; empty for too few
    customers."""

    def figure(self, name: str) -> Figure | None:
        """The figure whose metric ends in ``name``, such as ``auc``."""
        return next((figure for figure in self.figures if figure.metric.endswith(f"_{name}")), None)


def segments(
    forecasts: Mapping[str, Forecast],
    truth: Truth,
    customers: Sequence[str],
    journeys: Mapping[str, Journey],
    as_of: int,
    groups: Groups,
) -> list[Segment]:
    """All segments that have customers, on the longest horizon known; none where no outcome is known.

    Args:
        customers: those that ``forecasts`` and ``truth`` are about, in their order.
        as_of: epoch milliseconds, the last one before the cut-off.
    """
    if not truth.churned:
        return []
    days = max(truth.churned)
    return [
        _segment(dimension, name, np.flatnonzero(within), days, forecasts, truth)
        for dimension, name, within in _memberships(truth, customers, journeys, as_of, groups)
        if within.any()
    ]


def _segment(
    dimension: str,
    name: str,
    rows: npt.NDArray[np.intp],
    days: int,
    forecasts: Mapping[str, Forecast],
    truth: Truth,
) -> Segment:
    churned = truth.churned[days][rows]
    own = {who: Forecast(churn={days: said.churn[days][rows]}) for who, said in forecasts.items() if days in said.churn}
    figures: list[Figure] = []
    if len(rows) >= FEW and churned.any() and not churned.all():
        wanted = (f"churn_{days}d_auc", f"churn_{days}d_brier")
        figures = compare(own, Truth.of_churn({days: churned}), Draws(len(rows)), wanted)
    said = float(own[MODEL].churn[days].mean())
    return Segment(dimension, name, len(rows), f"{days}d", float(churned.mean()), said, figures)


def _memberships(
    truth: Truth, customers: Sequence[str], journeys: Mapping[str, Journey], as_of: int, groups: Groups
) -> Iterator[tuple[str, str, npt.NDArray[np.bool_]]]:
    for name, least, most in _BASKETS:
        yield "baskets", name, (truth.history >= least) & (truth.history <= most)
    for name, after, until in _RECENCY_DAYS:
        # The last day belongs to the shorter silence, and a purchase of this very moment to the first.
        yield "last order", name, (truth.recency_days > after - (after == 0)) & (truth.recency_days <= until)
    tenure = np.array([(as_of + 1 - journeys[customer].times[0]) / DAY_MS for customer in customers])
    for name, least, below in _TENURE_DAYS:
        yield "history", name, (tenure >= least) & (tenure < below)
    revenue = np.array([last_year_revenue(journeys[customer], as_of) for customer in customers])
    if np.isfinite(groups.high_value_from):
        high = revenue >= groups.high_value_from
        yield "year's revenue", f"{groups.high_value_from:,.0f} or more", high
        yield "year's revenue", "less", ~high
    yield from _countries(customers, groups.countries)


def _countries(customers: Sequence[str], known: Mapping[str, str]) -> Iterator[tuple[str, str, npt.NDArray[np.bool_]]]:
    of = np.array([known.get(customer, "") for customer in customers], object)
    names, counts = np.unique(of[of != ""].astype(str), return_counts=True)
    largest = [str(names[place]) for place in np.argsort(-counts, kind="stable") if counts[place] >= FEW][:_COUNTRIES]
    for name in largest:
        yield "country", name, np.asarray(of == name)
    if largest:
        yield "country", "others", np.array([bool(name) and name not in largest for name in of])
        yield "country", "not known", np.asarray(of == "")
