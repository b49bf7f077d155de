"""Measures a model at one cut-off: what it said then against what customers did afterwards, beside simple baselines.

Profiles are folded up to the cut-off and nothing later; the definitions are those of the product's model targets.
Called by ``serving.training`` for the card and by ``tidemark evaluate``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec
import numpy as np
import numpy.typing as npt

from serving.candidates import candidates
from serving.catalogue import Catalogue
from serving.dataset import ELIGIBLE_DAYS, examples
from serving.evaluation import baselines
from serving.evaluation.alerts import ACTIVE_DAYS
from serving.evaluation.metrics import auc, average_precision, brier, ece, precision_at, recall_at, spearman
from serving.features import tensors
from serving.histories import read_interactions, read_own_items
from serving.history import Journey, catalogue_items, outcome
from serving.item_tower import ItemTower
from serving.model_card import HORIZONS, HORIZONS_DAYS, Threshold
from serving.scorer import Tensors
from stream.contracts.events import Event
from stream.contracts.times import DAY_MS, to_rfc3339
from stream.profiles import codec
from stream.profiles.settings import ProfileSettings

Predict = Callable[[Tensors], Mapping[str, npt.NDArray[Any]]]
"""Inputs to outputs, such as ``OnnxScorer.run``."""

TOP: Final = 20
RESOLVE_BELOW: Final = 0.05
"""Distance of the threshold that resolves from the one that raises."""

_BATCH: Final = 256


class Predictions(msgspec.Struct):
    """What the model said of N customers at one moment; arrays have N rows."""

    as_of: int
    customers: list[str]
    churn: npt.NDArray[np.float64]
    revenue: npt.NDArray[np.float64]
    items: list[list[str]]


class Evaluation(msgspec.Struct):
    """Figures at one cut-off. A figure is missing where its outcome is not known yet."""

    cutoff: str
    customers: int
    metrics: dict[str, dict[str, float]]
    """Figure by metric by who made the prediction."""
    base_rates: dict[str, float]
    active_base_rates: dict[str, float]


def sellable(events: Iterable[Event], until: int, tower: ItemTower | None) -> Catalogue:
    """Every item seen up to ``until``, each in a group of its own: retrieval is measured before variants are
    dropped."""
    items = (msgspec.structs.replace(item, item_group_id="") for item in catalogue_items(events, until))
    return Catalogue.from_items(items, tower)


def predict_at(
    histories: dict[str, list[Event]],
    journeys: Mapping[str, Journey],
    cutoff: int,
    catalogue: Catalogue,
    predict: Predict,
    settings: ProfileSettings,
) -> Predictions:
    """Score every eligible customer with what was known before ``cutoff`` (epoch milliseconds)."""
    as_of = cutoff - 1
    wanted = set(baselines.eligible(journeys, as_of, ELIGIBLE_DAYS))
    own_histories = {customer: events for customer, events in histories.items() if customer in wanted}
    calendar = (e for e in examples(own_histories, [cutoff], cutoff, settings) if e.trigger is None)
    found = sorted(calendar, key=lambda example: example.customer_id)
    churn: list[npt.NDArray[np.float64]] = []
    revenue: list[npt.NDArray[np.float64]] = []
    items: list[list[str]] = []
    for start in range(0, len(found), _BATCH):
        chunk = found[start : start + _BATCH]
        profiles = [codec.decode(example.profile) for example in chunk]
        moments = np.full(len(chunk), as_of, np.int64)
        outputs = predict(tensors(profiles, moments.tolist(), catalogue))
        own = read_own_items(profiles, moments, read_interactions(profiles))
        churn.append(outputs["churn"].astype(np.float64))
        revenue.append(outputs["revenue"].astype(np.float64))
        items.extend([c.item_id for c in row] for row in candidates(np.asarray(outputs["query"]), own, catalogue))
    return Predictions(
        as_of, [example.customer_id for example in found], np.concatenate(churn), np.concatenate(revenue), items
    )


def evaluate(said: Predictions, journeys: Mapping[str, Journey], until: int) -> Evaluation:
    """Figures of ``said`` and of the baselines, with the outcomes known at ``until`` (epoch milliseconds)."""
    own = [journeys[customer] for customer in said.customers]
    outcomes = [outcome(journey, said.as_of, until, HORIZONS_DAYS) for journey in own]
    simple = np.array([baselines.rfm(journey, said.as_of) for journey in own])
    active = simple[:, 0] <= np.log1p(ACTIVE_DAYS)
    past = baselines.past_cutoffs(journeys, said.as_of)
    metrics: dict[str, dict[str, float]] = {"model": {}, "recency": {}, "rfm_logistic": {}}
    base_rates: dict[str, float] = {}
    active_base_rates: dict[str, float] = {}
    for column, (name, days) in enumerate(zip(HORIZONS, HORIZONS_DAYS, strict=True)):
        if said.as_of + days * DAY_MS > until:
            continue
        churned = np.array([not any(o.bought[: column + 1]) for o in outcomes])
        base_rates[name], active_base_rates[name] = float(churned.mean()), float(churned[active].mean())
        metrics["model"] |= _churn_figures(name, churned, said.churn[:, column], active)
        for baseline, columns in (("recency", baselines.RECENCY), ("rfm_logistic", baselines.RFM)):
            fitted = baselines.churn_baseline(past, said.as_of, days, columns)
            if fitted is not None:
                forecast = fitted.probability(simple[:, list(columns)])
                metrics[baseline] |= _churn_figures(name, churned, forecast, active)
    revenue = np.array([o.revenue for o in outcomes])
    if (revenue >= 0).all():
        last_year = [baselines.last_year_revenue(journey, said.as_of) for journey in own]
        metrics["model"] |= _revenue_figures(revenue, said.revenue[:, 0], said.revenue[:, 1])
        metrics["last_year_revenue"] = {"revenue_180d_spearman": spearman(revenue, last_year)}
    baskets = [set(o.basket) for o in outcomes]
    popular = baselines.popular_items(journeys, said.as_of)[:TOP]
    repeats = [_filled(baselines.own_repeats(journey, said.as_of), popular) for journey in own]
    metrics["model"]["recall_20"] = recall_at(said.items, baskets, TOP)
    metrics["popularity_30d"] = {"recall_20": recall_at([popular] * len(own), baskets, TOP)}
    metrics["own_repeats"] = {"recall_20": recall_at(repeats, baskets, TOP)}
    return Evaluation(to_rfc3339(said.as_of + 1)[:10], len(own), metrics, base_rates, active_base_rates)


def thresholds(said: Predictions, journeys: Mapping[str, Journey], until: int, budget_share: float) -> list[Threshold]:
    """Where to raise so that ``budget_share`` (0 to 1) of active customers is alerted, for each horizon known at
    ``until``."""
    own = [journeys[customer] for customer in said.customers]
    active = np.array([baselines.rfm(journey, said.as_of)[0] <= np.log1p(ACTIVE_DAYS) for journey in own])
    found = []
    for column, (name, days) in enumerate(zip(HORIZONS, HORIZONS_DAYS, strict=True)):
        if said.as_of + days * DAY_MS > until or not active.any():
            continue
        churned = np.array([not any(outcome(j, said.as_of, until, HORIZONS_DAYS).bought[: column + 1]) for j in own])
        churn = said.churn[active, column]
        raise_at = round(float(np.quantile(churn, 1.0 - budget_share)), 3)
        alerted = churned[active][churn >= raise_at]
        found.append(
            Threshold(
                horizon=name,
                budget_share=budget_share,
                raise_at=raise_at,
                resolve_at=round(raise_at - RESOLVE_BELOW, 3),
                precision=float(alerted.mean()),
                base_rate=float(churned[active].mean()),
            )
        )
    return found


def _churn_figures(
    name: str,
    churned: npt.NDArray[np.bool_],
    forecast: npt.NDArray[np.float64],
    active: npt.NDArray[np.bool_],
) -> dict[str, float]:
    return {
        f"churn_{name}_auc": auc(churned, forecast),
        f"churn_{name}_ap": average_precision(churned, forecast),
        f"churn_{name}_brier": brier(churned, forecast),
        f"churn_{name}_ece": ece(churned, forecast),
        f"churn_{name}_precision_top_10": precision_at(churned, forecast, 0.1),
        f"churn_{name}_auc_active": auc(churned[active], forecast[active]),
        f"churn_{name}_precision_top_10_active": precision_at(churned[active], forecast[active], 0.1),
    }


def _revenue_figures(
    actual: npt.NDArray[np.float64], mean: npt.NDArray[np.float64], median: npt.NDArray[np.float64]
) -> dict[str, float]:
    return {
        "revenue_180d_spearman": spearman(actual, mean),
        "revenue_180d_mae": float(np.abs(actual - median).mean()),
        "revenue_180d_bias": float(mean.sum() / actual.sum() - 1.0),
    }


def _filled(first: Sequence[str], then: Sequence[str]) -> list[str]:
    return list(dict.fromkeys([*first, *then]))[:TOP]
