"""Measures predictions at one cut-off: against what customers did afterwards, beside the baselines.

The definitions are those of the product's model targets. Called by ``serving.training`` for the card and by
``tidemark evaluate``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final

import msgspec
import numpy as np

from serving.catalogue import Catalogue
from serving.evaluation.alerts import ACTIVE_DAYS
from serving.evaluation.baselines.forecasts import baseline_forecasts
from serving.evaluation.bootstrap import DRAWS, Draws
from serving.evaluation.comparison import MODEL, Figure, Forecast, compare
from serving.evaluation.details import Details, details
from serving.evaluation.predictions import Predictions, require_same
from serving.evaluation.segments import Groups
from serving.evaluation.truth import truth_after
from serving.history import Journey, catalogue_items
from serving.item_tower import ItemTower
from serving.model_card import HORIZONS_DAYS, Threshold
from serving.shop import Shop
from stream.contracts.catalogue import CatalogueItem
from stream.contracts.events import Event

RESOLVE_BELOW: Final = 0.05
"""Distance of the threshold that resolves from the one that raises."""


class Evaluation(msgspec.Struct, frozen=True):
    """Figures at one cut-off. A figure is missing where its outcome is not known yet; all are where nothing follows the
    cut-off."""

    cutoff: str
    customers: int
    figures: list[Figure]
    base_rates: dict[str, float]
    """Churn by horizon such as ``90d``."""
    active_base_rates: dict[str, float]
    """The same among customers who bought within 90 days before."""
    details: Details | None = None
    """Where they were asked for."""

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
    names: Mapping[str, str] | None = None,
    groups: Groups | None = None,
) -> Evaluation:
    """Figures of ``said`` and of the baselines, with the outcomes known at ``until`` (epoch milliseconds).

    Args:
        others: predictions of further models at the same cut-off, by name.
        report: told what is being made.
        draws: of the bootstrap.
        names: of items, for the baseline that reads them.
        groups: asks for ``details``, by these.

    Raises:
        DifferentCutoffs: one of ``others`` is about another cut-off or other customers.
    """
    truth = truth_after(journeys, said.customers, said.as_of, until)
    forecasts = {MODEL: forecast_of(said)}
    for name, other in (others or {}).items():
        require_same(name, other, said)
        forecasts[name] = forecast_of(other)
    if until > said.as_of:
        forecasts |= baseline_forecasts(journeys, said.customers, said.as_of, report, names or {})
    report("intervals")
    drawn = Draws(len(said.customers), draws)
    active = truth.recency_days <= ACTIVE_DAYS
    return Evaluation(
        said.cutoff,
        len(said.customers),
        compare(forecasts, truth, drawn) if until > said.as_of else [],
        {f"{days}d": float(churned.mean()) for days, churned in truth.churned.items()},
        {f"{days}d": float(churned[active].mean()) for days, churned in truth.churned.items() if active.any()},
        None if groups is None else details(forecasts, truth, said.customers, journeys, said.as_of, groups, drawn),
    )


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
