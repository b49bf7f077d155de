"""Measures predictions at one cut-off: against what customers did afterwards, beside the baselines, by history length.

The definitions are those of the product's model targets. Called by ``serving.training`` for the card and by
``tidemark evaluate``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final

import msgspec
import numpy as np

from serving.catalogue import Catalogue
from serving.evaluation import metrics
from serving.evaluation.alerts import ACTIVE_DAYS
from serving.evaluation.baselines.forecasts import baseline_forecasts
from serving.evaluation.bootstrap import DRAWS, Draws
from serving.evaluation.comparison import MODEL, Figure, Forecast, compare
from serving.evaluation.predictions import Predictions
from serving.evaluation.truth import Truth, truth_after
from serving.history import Journey, catalogue_items
from serving.item_tower import ItemTower
from serving.model_card import HORIZONS_DAYS, Threshold
from serving.shop import Shop
from stream.contracts.catalogue import CatalogueItem
from stream.contracts.events import Event

RESOLVE_BELOW: Final = 0.05
"""Distance of the threshold that resolves from the one that raises."""

_LENGTHS: Final = (("1", 1, 1), ("2 to 4", 2, 4), ("5 to 9", 5, 9), ("10 or more", 10, 1 << 30))
"""Baskets before the cut-off, by which customers are told apart."""

_FEW: Final = 30


class Segment(msgspec.Struct, frozen=True):
    """Customers with so many baskets before the cut-off."""

    baskets: str
    customers: int
    auc: dict[str, float]
    """Of churn, by horizon such as ``90d``; NaN for fewer than thirty customers."""


class Evaluation(msgspec.Struct, frozen=True):
    """Figures at one cut-off. A figure is missing where its outcome is not known yet."""

    cutoff: str
    customers: int
    figures: list[Figure]
    base_rates: dict[str, float]
    """Churn by horizon such as ``90d``."""
    active_base_rates: dict[str, float]
    """The same among customers who bought within 90 days before."""
    segments: list[Segment]

    def value(self, metric: str, who: str = MODEL) -> float:
        """One figure; NaN where it is missing."""
        return next((f.values.get(who, float("nan")) for f in self.figures if f.metric == metric), float("nan"))


def sellable(
    events: Iterable[Event],
    until: int,
    tower: ItemTower | None,
    shop: Shop | None = None,
    listed: Iterable[CatalogueItem] = (),
) -> Catalogue:
    """Every item seen up to ``until``, each in a group of its own: retrieval is measured before variants are dropped.

    Args:
        listed: the shop's own catalogue; what it says of an item counts.
    """
    found = {item.item_id: item for item in (*catalogue_items(events, until), *listed)}
    return Catalogue.from_items((msgspec.structs.replace(i, item_group_id="") for i in found.values()), tower, shop)


def forecast_of(said: Predictions) -> Forecast:
    """Predictions as ``compare`` takes them."""
    return Forecast(
        churn={days: said.churn[:, place] for place, days in enumerate(HORIZONS_DAYS)},
        revenue_mean=said.revenue[:, 0],
        revenue_median=said.revenue[:, 1],
        items=said.items,
        new_items=said.new_items,
    )


def evaluate(
    said: Predictions,
    journeys: Mapping[str, Journey],
    until: int,
    others: Mapping[str, Predictions] | None = None,
    report: Callable[[str], None] = lambda what: None,
    draws: int = DRAWS,
) -> Evaluation:
    """Figures of ``said`` and of the baselines, with the outcomes known at ``until`` (epoch milliseconds).

    Args:
        others: predictions of further models at the same cut-off, by name.
        report: told what is being made.
        draws: of the bootstrap.
    """
    truth = truth_after(journeys, said.customers, said.as_of, until)
    forecasts = {MODEL: forecast_of(said)} | {name: forecast_of(other) for name, other in (others or {}).items()}
    if until > said.as_of:
        forecasts |= baseline_forecasts(journeys, said.customers, said.as_of, report)
    report("intervals")
    figures = compare(forecasts, truth, Draws(len(said.customers), draws))
    active = truth.recency_days <= ACTIVE_DAYS
    return Evaluation(
        said.cutoff,
        len(said.customers),
        figures,
        {f"{days}d": float(churned.mean()) for days, churned in truth.churned.items()},
        {f"{days}d": float(churned[active].mean()) for days, churned in truth.churned.items() if active.any()},
        _segments(said, truth),
    )


def _segments(said: Predictions, truth: Truth) -> list[Segment]:
    found = []
    for name, least, most in _LENGTHS:
        rows = np.flatnonzero((truth.history >= least) & (truth.history <= most))
        aucs = {
            f"{days}d": metrics.auc(churned[rows], said.churn[rows, HORIZONS_DAYS.index(days)])
            if len(rows) >= _FEW
            else float("nan")
            for days, churned in truth.churned.items()
        }
        found.append(Segment(name, len(rows), aucs))
    return found


def thresholds(said: Predictions, journeys: Mapping[str, Journey], until: int, budget_share: float) -> list[Threshold]:
    """Where to raise so that ``budget_share`` (0 to 1) of active customers is alerted, for each horizon known at
    ``until``."""
    truth = truth_after(journeys, said.customers, said.as_of, until)
    active = truth.recency_days <= ACTIVE_DAYS
    found = []
    for days, churned in truth.churned.items() if active.any() else ():
        churn = said.churn[active, HORIZONS_DAYS.index(days)]
        raise_at = round(float(np.quantile(churn, 1.0 - budget_share)), 3)
        alerted = churned[active][churn >= raise_at]
        found.append(
            Threshold(
                horizon=f"{days}d",
                budget_share=budget_share,
                raise_at=raise_at,
                resolve_at=round(raise_at - RESOLVE_BELOW, 3),
                precision=float(alerted.mean()),
                base_rate=float(churned[active].mean()),
            )
        )
    return found
