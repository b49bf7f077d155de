"""Fits the network on examples known at a moment, stops early on a later period, and calibrates on it.

Everything is told ``until`` when outcomes are known: the same function makes the networks that are measured and the
one that is shipped. Called by ``serving.training.train``.
"""

from __future__ import annotations

import copy
import math
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from serving.item_tower import ItemTower
from serving.model.network import CustomerNetwork, Heads, ServedNetwork, raw_churn, revenue_of
from serving.model_card import HORIZONS_DAYS
from serving.training.arrays import ExampleArrays, Labels, Report, batch_of, targets_of
from serving.training.calibration import Calibration, platt, revenue_factor
from serving.training.losses import (
    NEXT_ITEM_WEIGHT,
    REVENUE_WEIGHT,
    Targets,
    churn_loss,
    next_item_loss,
    revenue_loss,
)
from serving.training.settings import TrainingSettings
from stream.contracts.times import DAY_MS

CALIBRATION_DAYS: Final = 42
"""Length of the period that early stopping and calibration look at: three calendar cut-offs and what was asked
between."""

_BUCKETED: Final = 20
"""Batches that are sorted by length together: most histories are short, and padding costs as much as history."""

_PREDICT_BATCH: Final = 1024
_GRADIENT_NORM: Final = 1.0


class Split(NamedTuple):
    """Rows of the examples by what they are for."""

    training: npt.NDArray[np.intp]
    calibration: npt.NDArray[np.intp]


def split(as_of: npt.NDArray[np.int64], until: int) -> Split:
    """Calibration takes the latest ``CALIBRATION_DAYS`` of which the longest horizon is known; training all before."""
    last = until - HORIZONS_DAYS[-1] * DAY_MS
    first = last - CALIBRATION_DAYS * DAY_MS
    return Split(np.flatnonzero(as_of < first), np.flatnonzero((as_of >= first) & (as_of <= last)))


class ItemTable(NamedTuple):
    """The items that the next purchase is predicted among."""

    tokens: Tensor
    """int[N, tokens]."""
    log_popularity: Tensor
    """float[N]."""
    hashes: npt.NDArray[np.uint64]


class Fitted(NamedTuple):
    """A network with its calibration."""

    network: CustomerNetwork
    calibration: Calibration
    epochs: int
    validation_loss: float

    def served(self) -> ServedNetwork:
        """The network as it is exported."""
        slope, intercept = torch.tensor(self.calibration.slope), torch.tensor(self.calibration.intercept)
        return ServedNetwork(self.network, slope, intercept, self.calibration.revenue_factor)

    def tower(self, items: ItemTable) -> ItemTower:
        """The item half of it."""
        order = np.argsort(items.hashes)
        return ItemTower(
            self.network.words.weight.detach().numpy().astype(np.float16),
            items.hashes[order],
            items.log_popularity.numpy()[order].astype(np.float16),
            float(self.network.popularity_weight.detach()),
        )


def fit(
    arrays: ExampleArrays, known: Labels, items: ItemTable, until: int, settings: TrainingSettings, report: Report
) -> Fitted:
    """Train on examples before the calibration period of ``until``; ``known`` are the outcomes known then.

    Raises:
        ValueError: too little history for any training example.
    """
    rows = split(arrays.as_of, until)
    if not len(rows.training) or not len(rows.calibration):
        raise ValueError(
            "the events span too little time: a model needs about seven months of history, better two years"
        )
    torch.manual_seed(settings.seed)
    random = np.random.default_rng(settings.seed)
    network = CustomerNetwork(settings.network)
    stats = arrays.tensors["stats"][rows.training]
    network.statistics_least.copy_(torch.from_numpy(stats.min(axis=0)))
    network.statistics_most.copy_(torch.from_numpy(stats.max(axis=0)))
    network.statistics_mean.copy_(torch.from_numpy(stats.mean(axis=0)))
    network.statistics_scale.copy_(torch.from_numpy(np.maximum(stats.std(axis=0), 1e-3)))

    per_epoch = min(settings.examples_per_epoch, len(rows.training))
    steps = settings.epochs * math.ceil(per_epoch / settings.batch_size)
    optimiser = torch.optim.AdamW(network.parameters(), settings.learning_rate, weight_decay=settings.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, settings.learning_rate, total_steps=steps + 1, pct_start=settings.warm_up_share
    )
    best, best_loss, best_epoch, done = copy.deepcopy(network.state_dict()), math.inf, 0, 0
    for epoch in range(1, settings.epochs + 1):
        network.train()
        drawn = random.choice(rows.training, per_epoch, replace=False)
        for batch in _batches(drawn, arrays.lengths, settings.batch_size, random):
            optimiser.zero_grad()
            inputs = batch_of(arrays, batch)
            _blank_names(inputs, settings.word_dropout)
            loss = _loss(network, network(**inputs), targets_of(known, batch), items)
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), _GRADIENT_NORM)
            optimiser.step()
            schedule.step()
            done += 1
            report("training", done, steps)
        loss_now = _validation_loss(network, arrays, known, items, rows.calibration)
        if loss_now < best_loss:
            best, best_loss, best_epoch = copy.deepcopy(network.state_dict()), loss_now, epoch
        elif epoch - best_epoch >= settings.patience:
            break
    report("training", steps, steps)
    network.load_state_dict(best)
    network.eval()
    return Fitted(network, _calibrated(network, arrays, known, rows.calibration), best_epoch, best_loss)


def _batches(
    rows: npt.NDArray[np.intp], lengths: npt.NDArray[np.intp], size: int, random: np.random.Generator
) -> list[npt.NDArray[np.intp]]:
    batches: list[npt.NDArray[np.intp]] = []
    for start in range(0, len(rows), size * _BUCKETED):
        together = rows[start : start + size * _BUCKETED]
        together = together[np.argsort(lengths[together], kind="stable")]
        batches.extend(together[at : at + size] for at in range(0, len(together), size))
    return [batches[i] for i in random.permutation(len(batches))]


def _blank_names(inputs: dict[str, Tensor], share: float) -> None:
    tokens = inputs["history_tokens"]
    kept = torch.rand(tokens.shape[:2]) >= share
    inputs["history_tokens"] = tokens * kept[:, :, None].to(tokens.dtype)


def _loss(network: CustomerNetwork, heads: Heads, targets: Targets, items: ItemTable) -> Tensor:
    vectors = network.item_vectors(items.tokens)
    popularity = network.popularity_weight * items.log_popularity
    return (
        churn_loss(heads.hazard, targets.bought)
        + REVENUE_WEIGHT * revenue_loss(heads, targets.revenue)
        + NEXT_ITEM_WEIGHT * next_item_loss(heads.query, vectors, popularity, targets.next_items)
    )


def _validation_loss(
    network: CustomerNetwork, arrays: ExampleArrays, known: Labels, items: ItemTable, rows: npt.NDArray[np.intp]
) -> float:
    network.eval()
    total = 0.0
    with torch.no_grad():
        for start in range(0, len(rows), _PREDICT_BATCH):
            batch = rows[start : start + _PREDICT_BATCH]
            loss = _loss(network, network(**batch_of(arrays, batch)), targets_of(known, batch), items)
            total += float(loss) * len(batch)
    return total / len(rows)


def _calibrated(
    network: CustomerNetwork, arrays: ExampleArrays, known: Labels, later: npt.NDArray[np.intp]
) -> Calibration:
    # Revenue of 180 days is known for calendar cut-offs before the calibration period only: the latest of them count.
    with_revenue = np.flatnonzero((known.revenue >= 0) & arrays.calendar)
    latest = arrays.as_of[with_revenue].max(initial=0) - CALIBRATION_DAYS * DAY_MS
    with_revenue = with_revenue[arrays.as_of[with_revenue] >= latest]
    raw, _ = _predicted(network, arrays, later)
    _, revenue = _predicted(network, arrays, with_revenue)
    fitted = [platt(raw[:, h], known.churned(h)[later]) for h in range(len(HORIZONS_DAYS))]
    return Calibration(
        [slope for slope, _ in fitted],
        [intercept for _, intercept in fitted],
        revenue_factor(revenue, known.revenue[with_revenue]),
    )


def _predicted(
    network: CustomerNetwork, arrays: ExampleArrays, rows: npt.NDArray[np.intp]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Raw churn float64[N, 3] and mean revenue float64[N] of ``rows``."""
    churn = np.empty((len(rows), len(HORIZONS_DAYS)))
    revenue = np.empty(len(rows))
    with torch.no_grad():
        for start in range(0, len(rows), _PREDICT_BATCH):
            batch = rows[start : start + _PREDICT_BATCH]
            heads = network(**batch_of(arrays, batch))
            churn[start : start + len(batch)] = raw_churn(heads.hazard).numpy()
            revenue[start : start + len(batch)] = revenue_of(heads)[0].numpy()
    return churn, revenue
