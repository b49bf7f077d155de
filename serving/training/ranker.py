"""Learns the weights of ``serving.ranking`` from next baskets: a softmax over candidates of every retriever.

Item statistics and profiles are those of a cut-off before the baskets; the network that makes the queries is the one
that is served. Some customers are ranked once more with a part of the items hidden, as if these were new: from them the
weights of items without a known sale are learned. Called by ``serving.training.train``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from serving.catalogue import Catalogue
from serving.dataset import Example
from serving.features import tensors
from serving.histories import read_interactions, read_own_items
from serving.history import Journey, outcome
from serving.ranking import (
    NEW_FEATURES,
    OWN_FEATURES,
    OwnCells,
    RankWeights,
    companion_entries,
    companion_strength,
    known_lines,
    new_features,
    own_cells,
    own_features,
    unsold_name,
    unsold_names,
)
from serving.scorer import Tensors
from serving.shortlist import likeness_of
from stream.contracts.ids import item_hash
from stream.profiles import codec

Floats = npt.NDArray[np.float64]

RANKER_DAYS: Final = (120, 75)
"""Days before the end of what is known at which baskets are ranked: long enough for most customers to come back."""

CUSTOMERS: Final = 1_000
"""Of each cut-off, drawn among those who bought again."""

HIDDEN: Final = 10
"""One item in so many is hidden from statistics and histories where unsold items are learned of."""

HIDDEN_CUSTOMERS: Final = 400
"""Of ``CUSTOMERS``, those who are ranked once more so."""

_CANDIDATES: Final = 150
"""Taken from each retriever, beside the customer's own items."""

_CHUNK: Final = 64
_RIDGE: Final = 1e-3
_STEPS: Final = 80
_FEWEST: Final = 50


class _Choices(NamedTuple):
    """C candidates of N customers."""

    customer: Tensor
    """int[C], ascending."""
    features: Tensor
    """float[C, own + new features]; zero in the half that does not apply."""
    share: Tensor
    """float[C]: of the customer's basket; adds up to 1 over those that are candidates or less."""
    customers: int


def fit_ranking(
    cutoffs: Sequence[tuple[Sequence[Example], Catalogue]],
    journeys: Mapping[str, Journey],
    until: int,
    predict: Callable[[Tensors], Mapping[str, npt.NDArray[Any]]],
    seed: int,
) -> RankWeights:
    """Weights at which the next baskets were likeliest; the default ones where too few are known.

    Args:
        cutoffs: the examples of a moment, and the catalogue with the item statistics of that moment.
        until: baskets are known up to this moment, epoch milliseconds.
        predict: the network.
    """
    random = np.random.default_rng(seed)
    choices: list[_Choices] = []
    for found, catalogue in cutoffs:
        baskets = [outcome(journeys.get(e.customer_id), e.as_of, until, ()).basket for e in found]
        again = np.flatnonzero([bool(basket) for basket in baskets])
        drawn = np.sort(random.permutation(again)[:CUSTOMERS])
        if len(drawn) >= _FEWEST:
            chosen = [(found[row], baskets[row]) for row in drawn]
            choices += [
                _choices(chosen[start : start + _CHUNK], catalogue, predict) for start in range(0, len(chosen), _CHUNK)
            ]
            without = _hiding(catalogue)
            fewer = [chosen[row] for row in random.permutation(len(chosen))[:HIDDEN_CUSTOMERS].tolist()]
            choices += [
                _choices(fewer[start : start + _CHUNK], without, predict, hiding=True)
                for start in range(0, len(fewer), _CHUNK)
            ]
    return _fitted(choices) if choices else RankWeights.default()


def _hiding(catalogue: Catalogue) -> Catalogue:
    """The catalogue as if a part of its items were new."""
    statistics = catalogue.shop.items
    hidden = statistics.hashes % HIDDEN == 0
    return catalogue.with_model(catalogue.tower, catalogue.shop._replace(items=statistics.without(hidden)))


def _choices(
    chosen: Sequence[tuple[Example, tuple[str, ...]]],
    catalogue: Catalogue,
    predict: Callable[[Tensors], Mapping[str, npt.NDArray[Any]]],
    hiding: bool = False,
) -> _Choices:
    """What these customers could choose from, and what they chose.

    Args:
        hiding: items of which no sale is known are taken out of the histories, too.
    """
    profiles = [codec.decode(example.profile) for example, _ in chosen]
    moments = np.array([example.as_of for example, _ in chosen], np.int64)
    outputs = predict(tensors(profiles, moments.tolist(), catalogue))
    bought = own_cells(read_own_items(profiles, moments, read_interactions(profiles)), catalogue)
    if hiding:
        sold = (catalogue.shop.items.places(catalogue.hashes) >= 0)[bought.cell % len(catalogue)]
        bought = OwnCells(bought.cell[sold], bought.lines[sold], bought.days[sold])
    likeness = likeness_of(np.asarray(outputs["query"]), catalogue)
    companion = companion_strength(companion_entries(bought, catalogue), len(chosen), catalogue)
    known = known_lines(bought, len(chosen), catalogue)
    names = unsold_names(bought, len(chosen), catalogue)
    taken = _taken(bought, companion, names, catalogue)
    is_own = np.zeros(likeness.shape, np.bool_)
    is_own.ravel()[bought.cell] = True
    row, item = np.nonzero(taken)
    features = np.zeros((len(row), len(OWN_FEATURES) + len(NEW_FEATURES)))
    mine = is_own[row, item]
    # Both run over the cells in ascending order, and every own cell is taken.
    own = row[mine], item[mine]
    features[mine, : len(OWN_FEATURES)] = own_features(bought, companion[own], likeness[own], catalogue)
    new = row[~mine], item[~mine]
    name = unsold_name(*new, names, catalogue)
    features[~mine, len(OWN_FEATURES) :] = new_features(
        new[1], companion[new], likeness[new], name, known[new[0]], catalogue
    )
    share = np.zeros(likeness.shape)
    for place, (_, basket) in enumerate(chosen):
        rows = catalogue.rows(np.array([item_hash(each) for each in basket], np.uint64))
        rows = rows[rows >= 0]
        share[place, rows] = 1.0 / max(len(rows), 1)
    return _Choices(
        torch.from_numpy(row),
        torch.from_numpy(features.astype(np.float32)),
        torch.from_numpy(share[row, item].astype(np.float32)),
        len(chosen),
    )


def _taken(bought: OwnCells, companion: Floats, names: Floats, catalogue: Catalogue) -> npt.NDArray[np.bool_]:
    count = min(_CANDIDATES, companion.shape[1])
    named = np.full(companion.shape, -1.0)
    named[:, catalogue.unsold] = names
    taken = np.zeros(companion.shape, np.bool_)
    month, _ = catalogue.buyers
    for score in (
        companion,
        companion * month[None, :] + 1e-6 * month[None, :],
        np.broadcast_to(month, companion.shape),
        named,
    ):
        np.put_along_axis(taken, np.argpartition(-score, count - 1, axis=1)[:, :count], True, axis=1)
    taken.ravel()[bought.cell] = True
    return taken


def _fitted(choices: Sequence[_Choices]) -> RankWeights:
    weights = torch.zeros(len(OWN_FEATURES) + len(NEW_FEATURES), requires_grad=True)
    optimiser = torch.optim.LBFGS([weights], max_iter=_STEPS, line_search_fn="strong_wolfe")
    customers = sum(each.customers for each in choices)

    def loss() -> Tensor:
        optimiser.zero_grad()
        total = _RIDGE * (weights**2).sum()
        for each in choices:
            score = each.features @ weights
            best = torch.full((each.customers,), -1e9).scatter_reduce(0, each.customer, score.detach(), "amax")
            sums = torch.zeros(each.customers).index_add(0, each.customer, torch.exp(score - best[each.customer]))
            log_share = score - (torch.log(sums) + best)[each.customer]
            total = total - (log_share * each.share).sum() / customers
        total.backward()
        return total

    optimiser.step(loss)
    fitted = weights.detach().numpy().astype(np.float64)
    return RankWeights(fitted[: len(OWN_FEATURES)], fitted[len(OWN_FEATURES) :])
