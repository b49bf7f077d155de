"""What each part of the churn model brings, at cut-offs that it was not trained on: a table for docs/model.md.

    python -m benchmarks.ablation EVENTS [CUTOFF...] [SETTINGS.json...]

Needs the extra `train`. Every variant is trained anew on what was known before each cut-off, with two seeds; figures
are means over the cut-offs, ± half the distance of the seeds, on customers of the demo and all others alike. With files
of settings, as `tidemark tune` writes them, they alone stand beside the shipped model.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

import lightgbm
import msgspec
import numpy as np
import numpy.typing as npt
import torch

from serving.catalogue import Catalogue
from serving.dataset import Example, by_customer, calendar_cutoffs, examples
from serving.evaluation import metrics
from serving.evaluation.baselines.boosted import COMMON
from serving.evaluation.baselines.rfm import eligible
from serving.history import journeys, outcome, read_events
from serving.holdout import is_demo_customer
from serving.model.network import raw_churn
from serving.model.settings import NetworkSettings
from serving.model_card import HORIZONS_DAYS
from serving.season import Season
from serving.shop import Shop
from serving.statistics import STATISTICS
from serving.training.arrays import ExampleArrays, Labels, example_arrays, labels
from serving.training.fit import ItemTable, fit
from serving.training.known import purchase_rates
from serving.training.settings import TrainingSettings, read_settings
from serving.training.weights import by_age
from stream.contracts.times import DAY_MS, to_epoch_ms
from stream.profiles.settings import ProfileSettings

CUTOFFS: Final = ("2010-12-09", "2011-01-13", "2011-02-10", "2011-03-10")
SETTINGS: Final = TrainingSettings(threads=1, query_epochs=0)


class Variant(NamedTuple):
    """One part left out."""

    name: str
    seasonal: bool = True
    settings: TrainingSettings = SETTINGS
    gaps: bool = True
    trees: float = 0.0
    """Share of boosted trees in the log-odds."""


def without(**changes: Any) -> TrainingSettings:
    """The settings with some of them changed."""
    return TrainingSettings(**{"threads": 1, "query_epochs": 0, **changes})


VARIANTS: Final = (
    Variant("the shipped model"),
    Variant("calendar days instead of shop days", seasonal=False),
    Variant("all cut-offs weigh the same", settings=without(recency_half_life_days=1e6)),
    Variant("one network instead of five", settings=without(network=NetworkSettings(members=1))),
    Variant("the outlook alone (BG/NBD in shop days)", settings=without(learning_rate=0.0)),
    Variant("without statistics of time gaps", gaps=False),
    Variant("LightGBM beside the networks", trees=0.5),
    Variant("LightGBM instead of the networks", trees=1.0),
)

GAPS: Final = [place for place, name in enumerate(STATISTICS) if "gap" in name]
OUTLOOK: Final = slice(STATISTICS.index("hazard_30d"), STATISTICS.index("hazard_90d") + 1)
ROUNDS: Final = 200
SEEDS: Final = (1, 2)


def main(arguments: Sequence[str]) -> None:
    """Print the table."""
    torch.set_num_threads(1)
    profile_settings = ProfileSettings()
    histories = by_customer(read_events([Path(arguments[0])], profile_settings))
    bought = journeys((event for own in histories.values() for event in own), profile_settings)
    end = (max(int(j.times[-1]) for j in bought.values()) // DAY_MS + 1) * DAY_MS - 1
    tuned = [
        Variant(each, settings=msgspec.structs.replace(read_settings(Path(each)), threads=1, query_epochs=0))
        for each in arguments[1:]
        if each.endswith(".json")
    ]
    variants = (VARIANTS[0], *tuned) if tuned else VARIANTS
    figures: dict[str, dict[int, list[list[float]]]] = {v.name: {seed: [] for seed in SEEDS} for v in variants}
    for day in [each for each in arguments[1:] if not each.endswith(".json")] or CUTOFFS:
        cutoff = to_epoch_ms(datetime.fromisoformat(day).replace(tzinfo=UTC))
        moments = calendar_cutoffs(cutoff - 340 * DAY_MS, cutoff, SETTINGS.calendar_step_days)
        found = [e for e in examples(histories, moments, cutoff, profile_settings) if e.as_of < cutoff]
        judged = set(eligible(bought, cutoff - 1))
        test = [e for e in found if e.as_of == cutoff - 1 and e.trigger is None and e.customer_id in judged]
        train = [e for e in found if e.as_of < cutoff - 1 and not is_demo_customer(e.customer_id)]
        outcomes = [outcome(bought[e.customer_id], e.as_of, end, HORIZONS_DAYS).bought for e in test]
        churned = np.array([not any(each) for each in outcomes])
        arrays: dict[bool, tuple[ExampleArrays, ExampleArrays]] = {}
        for variant in variants:
            if variant.seasonal not in arrays:
                season = Season.learned(bought.values(), cutoff - 1) if variant.seasonal else Season.flat()
                first = min(int(journey.times[0]) for journey in bought.values())
                rates = purchase_rates(bought, season, cutoff - 1)
                shop = Shop.unknown()._replace(first=first, season=season, rates=rates)
                arrays[variant.seasonal] = (_arrays(train, shop), _arrays(test, shop))
            learned, asked = (each if variant.gaps else _without_gaps(each) for each in arrays[variant.seasonal])
            known = labels(train, bought, cutoff - 1, Catalogue.from_items(()))
            items = ItemTable(torch.zeros(1, 8, dtype=torch.int64), torch.zeros(1))
            for seed in SEEDS:
                said = _said(learned, known, items, asked, cutoff - 1, variant, seed)
                figures[variant.name][seed].append(_figures(churned, said))
                print(day, variant.name, seed, np.round(figures[variant.name][seed][-1], 4).tolist(), flush=True)
    print("\n| | AUC | AP | Brier | ECE | precision top 10 % | slope |\n| --- | --- | --- | --- | --- | --- | --- |")
    for name, by_seed in figures.items():
        means = np.array([np.mean(rows, axis=0) for rows in by_seed.values()])
        cells = zip(means.mean(axis=0), np.ptp(means, axis=0) / 2, strict=True)
        print(f"| {name} | " + " | ".join(f"{mean:.4f} ± {spread:.4f}" for mean, spread in cells) + " |")


def _said(
    learned: ExampleArrays,
    known: Labels,
    items: ItemTable,
    asked: ExampleArrays,
    until: int,
    variant: Variant,
    seed: int,
) -> npt.NDArray[np.float64]:
    """float64[N]: churn within 90 days."""
    settings = msgspec.structs.replace(variant.settings, seed=seed)
    fitted = fit(learned, known, items, until, settings, lambda what, done, of: None)
    with torch.no_grad():
        raw = raw_churn(fitted.network.hazards(torch.from_numpy(asked.tensors["stats"])))
    said = raw.numpy().astype(np.float64)[:, -1]
    odds = np.log(said / (1 - said)) + fitted.calibration.intercept[-1]
    if variant.trees:
        odds += variant.trees * (_trees(learned, known, asked, until, seed) - odds)
    return np.asarray(1 / (1 + np.exp(-odds)))


def _arrays(found: Sequence[Example], shop: Shop) -> ExampleArrays:
    return example_arrays(found, Catalogue.from_items((), None, shop), lambda what, done, of: None)


def _without_gaps(arrays: ExampleArrays) -> ExampleArrays:
    stats = arrays.tensors["stats"].copy()
    stats[:, GAPS] = 0
    return arrays._replace(tensors={**arrays.tensors, "stats": stats})


def _trees(
    learned: ExampleArrays, known: Labels, asked: ExampleArrays, until: int, seed: int
) -> npt.NDArray[np.float64]:
    """float64[N]: log-odds of churn within 90 days by boosted trees, from the same statistics, departing from the same
    outlook, on examples that weigh the same."""
    churned = known.churned(len(HORIZONS_DAYS) - 1)
    rows = np.flatnonzero((churned >= 0) & (learned.as_of >= until - (90 + SETTINGS.oldest_days) * DAY_MS))
    before, then = (_outlook(each.tensors["stats"]) for each in (learned, asked))
    weight = by_age(learned.as_of[rows], SETTINGS.recency_half_life_days * DAY_MS)
    data = lightgbm.Dataset(
        learned.tensors["stats"][rows], churned[rows], weight=weight * len(rows), init_score=before[rows]
    )
    booster = lightgbm.train(COMMON | {"objective": "binary", "seed": seed}, data, ROUNDS)
    return np.asarray(then + booster.predict(asked.tensors["stats"], raw_score=True))


def _outlook(stats: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Log-odds of churn within the longest horizon."""
    with torch.no_grad():
        said = raw_churn(torch.from_numpy(stats[:, OUTLOOK].astype(np.float32)))[:, -1].numpy().astype(np.float64)
    return np.asarray(np.log(said / (1 - said)))


def _figures(churned: npt.NDArray[np.bool_], said: npt.NDArray[np.float64]) -> list[float]:
    return [
        metrics.auc(churned, said),
        metrics.average_precision(churned, said),
        metrics.brier(churned, said),
        metrics.ece(churned, said),
        metrics.precision_at(churned, said, 0.1),
        metrics.calibration_slope(churned, said),
    ]


if __name__ == "__main__":
    main(sys.argv[1:])
