"""Fits the network on examples known at a moment: first before a later period that says when to stop, then on all.

Everything is told ``until`` when outcomes are known: the same function makes the networks that are measured and the
one that is shipped. Called by ``serving.training.train``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from serving.item_tower import ItemTower
from serving.model.network import CustomerNetwork, ServedNetwork, raw_churn
from serving.model_card import HORIZONS_DAYS
from serving.statistics import STATISTICS
from serving.training.arrays import ExampleArrays, Labels, Report, batch_of
from serving.training.calibration import Calibration, intercept_of, revenue_factor
from serving.training.checkpoints import NOTHING_KEPT, Checkpoints
from serving.training.enough import TooLittleHistory
from serving.training.learn import Best, Pool, Rows, Task, learn
from serving.training.logs import Log, unheard
from serving.training.losses import churn_loss, next_item_loss
from serving.training.parallel import ALONE, World
from serving.training.settings import TrainingSettings
from serving.training.weights import bounded, by_age, winsorised
from stream.contracts.times import DAY_MS

CALIBRATION_DAYS: Final = 42
"""Length of the period that early stopping and calibration look at: six calendar cut-offs and what was asked
between."""


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
    kept: Checkpoints
    log: Log


def fit(
    arrays: ExampleArrays,
    known: Labels,
    items: ItemTable,
    until: int,
    settings: TrainingSettings,
    report: Report,
    kept: Checkpoints = NOTHING_KEPT,
    log: Log = unheard,
    world: World = ALONE,
) -> Fitted:
    """Train on what is known at ``until``; ``known`` are the outcomes known then.

    Args:
        kept: where the fit leaves its states, and goes on from one that a killed run left.
        log: told the curves.
        world: the processes that train the query together, each called with the same arguments.

    Raises:
        TooLittleHistory: for any training example.
    """
    rows = split(arrays.as_of, until, settings)
    if not len(rows.early) or not len(rows.later):
        raise TooLittleHistory(
            "the events span too little time: a model needs about seven months of history, better two years"
        )
    source = _Source(arrays, known, items, settings, report, kept, log)
    # Hazards are too small to be worth a message at every step.
    network, best = world.from_first(lambda: _with_hazards(source, rows))
    _learn_queries(network, source, rows.known, world)
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


def _with_hazards(source: _Source, rows: Split) -> tuple[CustomerNetwork, Best]:
    """A network of which the hazards have learned, and the epoch that was best for them."""
    settings = source.settings
    rehearsed = _network(source, rows.early)
    best = _learn_hazards(
        rehearsed, source, rows.early, "rehearsal", settings.epochs, lambda: _hazard_loss(rehearsed, source, rows.later)
    )
    # The youngest examples say most of the season to come: the network that is kept has seen them too.
    network = _network(source, rows.known)
    _learn_hazards(network, source, rows.known, "hazards", best.epoch, None)
    return network, best


def fit_queries(
    arrays: ExampleArrays, known: Labels, items: ItemTable, until: int, settings: TrainingSettings, report: Report
) -> CustomerNetwork:
    """A network of which the query alone has learned, on what is known at ``until``."""
    source = _Source(arrays, known, items, settings, report, NOTHING_KEPT, unheard)
    rows = split(arrays.as_of, until, settings).known
    network = _network(source, rows)
    _learn_queries(network, source, rows, ALONE)
    network.eval()
    return network


def _network(source: _Source, rows: npt.NDArray[np.intp]) -> CustomerNetwork:
    torch.manual_seed(source.settings.seed)
    network = CustomerNetwork(source.settings.network)
    network.hazards.standardise_by(torch.from_numpy(source.arrays.tensors["stats"][rows].astype(np.float32)))
    return network


def _learn_hazards(
    network: CustomerNetwork,
    source: _Source,
    rows: Rows,
    name: str,
    epochs: int,
    held_out: Callable[[], float] | None,
) -> Best:
    stats = torch.from_numpy(source.arrays.tensors["stats"].astype(np.float32))
    bought = torch.from_numpy(source.known.bought)

    def loss(batch: Rows) -> Tensor:
        members = network.hazards.members(stats[batch])
        each = bought[batch].expand(len(members), -1, -1)
        return churn_loss(members.flatten(0, 1), each.flatten(0, 1))

    planned, rate = source.settings.epochs, source.settings.learning_rate
    learned = network.hazards.parameters()
    task = Task(name, network, learned, loss, _pool(source, rows), epochs, planned, rate, held_out)
    return learn(task, source.settings, source.kept.fit(name), source.report, source.log)


def _learn_queries(network: CustomerNetwork, source: _Source, rows: Rows, world: World) -> None:
    bought_again = rows[(source.known.next_items[rows] >= 0).any(axis=1)]
    if not len(bought_again) or not source.settings.query_epochs:
        return
    next_items = torch.from_numpy(source.known.next_items.astype(np.int64))

    def loss(batch: Rows) -> Tensor:
        inputs = batch_of(source.arrays, batch)
        del inputs["stats"]
        _blank_names(inputs, source.settings.word_dropout)
        popularity = network.popularity_weight * source.items.log_popularity
        vectors = network.item_vectors(source.items.tokens)
        return next_item_loss(network.queries(**inputs), vectors, popularity, next_items[batch])

    epochs, rate = source.settings.query_epochs, source.settings.query_learning_rate
    learned = [weights for name, weights in network.named_parameters() if not name.startswith("hazards.")]
    task = Task("queries", network, learned, loss, _pool(source, bought_again), epochs, epochs, rate)
    learn(task, source.settings, source.kept.fit("queries"), source.report, source.log, world)


def _pool(source: _Source, rows: Rows) -> Pool:
    weight = by_age(source.arrays.as_of[rows], source.settings.recency_half_life_days * DAY_MS)
    drawn_by = bounded(weight, source.arrays.customer[rows], source.settings.customer_times_median)
    return Pool(rows, drawn_by, source.arrays.lengths)


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
    weight = by_age(arrays.as_of[rows], source.settings.value_half_life_days * DAY_MS)
    actual, customer, share = source.known.revenue[rows], arrays.customer[rows], source.settings.customer_value_share
    return revenue_factor(
        winsorised(index, weight, customer, share), winsorised(actual, weight, customer, share), weight
    )
