"""Fits the network on examples known at a moment: first before a later period that says when to stop, then on all.

Everything is told ``until`` when outcomes are known: the same function makes the networks that are measured and the
one that is shipped. Called by ``serving.training.train``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from serving.item_tower import ItemTower
from serving.model.network import CustomerNetwork, ServedNetwork, raw_churn
from serving.model_card import HORIZONS_DAYS
from serving.statistics import STATISTICS
from serving.training.arrays import ExampleArrays, Labels, Report, batch_of
from serving.training.calibration import Calibration, intercept_of, revenue_factor
from serving.training.losses import churn_loss, next_item_loss
from serving.training.settings import TrainingSettings
from stream.contracts.times import DAY_MS

CALIBRATION_DAYS: Final = 42
"""Length of the period that early stopping and calibration look at: six calendar cut-offs and what was asked
between."""

_BUCKETED: Final = 20
"""Batches that are sorted by length together: most histories are short, and padding costs as much as history."""

_GRADIENT_NORM: Final = 1.0


class Split(NamedTuple):
    """Rows of the examples by what they are for."""

    early: npt.NDArray[np.intp]
    """Trained on first."""
    later: npt.NDArray[np.intp]
    """Says when to stop, and at which level the probabilities lie."""
    known: npt.NDArray[np.intp]
    """Of which the shortest horizon at least is over: trained on in the end."""


def split(as_of: npt.NDArray[np.int64], until: int, settings: TrainingSettings) -> Split:
    """``later`` are the latest ``CALIBRATION_DAYS`` of which the longest horizon is known."""
    last = until - HORIZONS_DAYS[-1] * DAY_MS
    first = last - CALIBRATION_DAYS * DAY_MS
    oldest = last - settings.oldest_days * DAY_MS
    return Split(
        np.flatnonzero((as_of >= oldest) & (as_of < first)),
        np.flatnonzero((as_of >= first) & (as_of <= last)),
        np.flatnonzero((as_of >= oldest) & (as_of <= until - HORIZONS_DAYS[0] * DAY_MS)),
    )


class ItemTable(NamedTuple):
    """The items that the next purchase is predicted among."""

    tokens: Tensor
    """int[N, tokens]."""
    log_popularity: Tensor
    """float[N]."""


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

    def tower(self) -> ItemTower:
        """The item half of it."""
        return ItemTower(self.network.words.weight.detach().numpy().astype(np.float16))


class _Source(NamedTuple):
    arrays: ExampleArrays
    known: Labels
    items: ItemTable
    settings: TrainingSettings
    report: Report


def fit(
    arrays: ExampleArrays, known: Labels, items: ItemTable, until: int, settings: TrainingSettings, report: Report
) -> Fitted:
    """Train on what is known at ``until``; ``known`` are the outcomes known then.

    Raises:
        ValueError: too little history for any training example.
    """
    rows = split(arrays.as_of, until, settings)
    if not len(rows.early) or not len(rows.later):
        raise ValueError(
            "the events span too little time: a model needs about seven months of history, better two years"
        )
    source = _Source(arrays, known, items, settings, report)
    best = _Best()

    def stop(network: CustomerNetwork, epoch: int) -> bool:
        best.see(epoch, _hazard_loss(network, source, rows.later))
        return epoch - best.epoch >= settings.patience

    _learn_hazards(_network(source, rows.early), source, rows.early, "rehearsal", settings.epochs, stop)
    # The youngest examples say most of the season to come: the network that is kept has seen them too.
    network = _network(source, rows.known)
    _learn_hazards(network, source, rows.known, "hazards", best.epoch, lambda network, epoch: False)
    _learn_queries(network, source, rows.known)
    network.eval()
    raw = _raw_churn(network, arrays, rows.later)
    return Fitted(
        network,
        Calibration(
            [1.0 for _ in HORIZONS_DAYS],
            [intercept_of(1.0, raw[:, h], known.churned(h)[rows.later]) for h in range(len(HORIZONS_DAYS))],
            _level_of_revenue(source),
        ),
        best.epoch,
        best.loss,
    )


class _Best:
    """The epoch with the least loss on the later period."""

    def __init__(self) -> None:
        self.epoch = 0
        self.loss = math.inf

    def see(self, epoch: int, loss: float) -> None:
        if loss < self.loss:
            self.epoch, self.loss = epoch, loss


def _network(source: _Source, rows: npt.NDArray[np.intp]) -> CustomerNetwork:
    torch.manual_seed(source.settings.seed)
    network = CustomerNetwork(source.settings.network)
    network.hazards.standardise_by(torch.from_numpy(source.arrays.tensors["stats"][rows].astype(np.float32)))
    return network


def _learn_hazards(
    network: CustomerNetwork,
    source: _Source,
    rows: npt.NDArray[np.intp],
    name: str,
    epochs: int,
    stop: Callable[[CustomerNetwork, int], bool],
) -> None:
    stats = torch.from_numpy(source.arrays.tensors["stats"].astype(np.float32))
    bought = torch.from_numpy(source.known.bought)

    def loss(batch: npt.NDArray[np.intp]) -> Tensor:
        members = network.hazards.members(stats[batch])
        each = bought[batch].expand(len(members), -1, -1)
        return churn_loss(members.flatten(0, 1), each.flatten(0, 1))

    pace = _Pace(epochs, source.settings.epochs, source.settings.learning_rate)
    _learn(network, network.hazards.parameters(), loss, source, rows, name, pace, stop)


def _learn_queries(network: CustomerNetwork, source: _Source, rows: npt.NDArray[np.intp]) -> None:
    bought_again = rows[(source.known.next_items[rows] >= 0).any(axis=1)]
    if not len(bought_again) or not source.settings.query_epochs:
        return
    next_items = torch.from_numpy(source.known.next_items.astype(np.int64))

    def loss(batch: npt.NDArray[np.intp]) -> Tensor:
        inputs = batch_of(source.arrays, batch)
        del inputs["stats"]
        _blank_names(inputs, source.settings.word_dropout)
        popularity = network.popularity_weight * source.items.log_popularity
        vectors = network.item_vectors(source.items.tokens)
        return next_item_loss(network.queries(**inputs), vectors, popularity, next_items[batch])

    learned = [weights for name, weights in network.named_parameters() if not name.startswith("hazards.")]
    pace = _Pace(source.settings.query_epochs, source.settings.query_epochs, source.settings.query_learning_rate)
    _learn(network, learned, loss, source, bought_again, "queries", pace, lambda network, epoch: False)


class _Pace(NamedTuple):
    epochs: int
    planned: int
    """The learning rate falls as if so many were run."""
    learning_rate: float


def _learn(
    network: CustomerNetwork,
    weights: Iterable[nn.Parameter],
    loss: Callable[[npt.NDArray[np.intp]], Tensor],
    source: _Source,
    rows: npt.NDArray[np.intp],
    name: str,
    pace: _Pace,
    stop: Callable[[CustomerNetwork, int], bool],
) -> None:
    settings, random = source.settings, np.random.default_rng(source.settings.seed)
    learned = list(weights)
    per_epoch = min(settings.examples_per_epoch, len(rows))
    drawn_by = _by_age(source.arrays.as_of[rows], settings.recency_half_life_days)
    steps = pace.planned * math.ceil(per_epoch / settings.batch_size)
    optimiser = torch.optim.AdamW(learned, pace.learning_rate, weight_decay=settings.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, pace.learning_rate, total_steps=steps + 1, pct_start=settings.warm_up_share
    )
    done = 0
    for epoch in range(1, pace.epochs + 1):
        network.train()
        drawn = random.choice(rows, per_epoch, p=drawn_by)
        for batch in _batches(drawn, source.arrays.lengths, settings.batch_size, random):
            optimiser.zero_grad()
            loss(batch).backward()
            nn.utils.clip_grad_norm_(learned, _GRADIENT_NORM)
            optimiser.step()
            schedule.step()
            done += 1
            source.report(name, done, steps)
        if stop(network, epoch):
            break
    source.report(name, steps, steps)


def _by_age(as_of: npt.NDArray[np.int64], half_life_days: float) -> npt.NDArray[np.float64]:
    """How likely each example is drawn, adding up to 1."""
    weight = np.exp2((as_of - as_of.max()) / (half_life_days * DAY_MS))
    return np.asarray(weight / weight.sum())


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


def _hazard_loss(network: CustomerNetwork, source: _Source, rows: npt.NDArray[np.intp]) -> float:
    network.eval()
    with torch.no_grad():
        hazard = network.hazards(torch.from_numpy(source.arrays.tensors["stats"][rows].astype(np.float32)))
        return float(churn_loss(hazard, torch.from_numpy(source.known.bought[rows])))


def _raw_churn(network: CustomerNetwork, arrays: ExampleArrays, rows: npt.NDArray[np.intp]) -> npt.NDArray[np.float64]:
    """float64[N, 3] of ``rows``."""
    with torch.no_grad():
        hazard = network.hazards(torch.from_numpy(arrays.tensors["stats"][rows].astype(np.float32)))
        return np.asarray(raw_churn(hazard).numpy(), np.float64)


def _level_of_revenue(source: _Source) -> float:
    """What the index of value has to be multiplied with, on calendar cut-offs whose half year is over."""
    arrays = source.arrays
    rows = np.flatnonzero((source.known.revenue >= 0) & arrays.calendar)
    if not len(rows):
        return 1.0
    index = np.exp(arrays.tensors["stats"][rows, STATISTICS.index("value_180d")].astype(np.float64))
    weight = _by_age(arrays.as_of[rows], source.settings.value_half_life_days)
    return revenue_factor(index, source.known.revenue[rows], weight)
