"""The best items of each customer by the score of ``serving.ranking``, without that score of every item.

The score of all items is estimated in float32 with a bound on its error; what the bound cannot rule out is scored as
``serving.ranking`` says and sorted. So the result is that of scoring everything, whatever else is in the batch. Called
by ``serving.candidates``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from serving import ranking
from serving.item_tower import QUERY_STEPS, VECTOR_STEPS, quantised_queries
from serving.ranking import NEW_FEATURES, CompanionEntries, Floats, OwnCells

if TYPE_CHECKING:
    from serving.catalogue import Catalogue

SCORE_STEPS: Final = 1_000_000
"""Scores are compared and written to six digits."""

_ROUNDINGS: Final = 40 * float(np.finfo(np.float32).eps)
"""No estimate is further off, as a share of the largest terms that it may add up: it has five of them, and none is
rounded more than eight times."""


class Shortlist(NamedTuple):
    """The K best items of B customers, best first; of equal scores the lower row is ahead.

    Attributes:
        items: intp[B, K]: rows of the catalogue.
        scores: float64[B, K]: to ``SCORE_STEPS``.
        repeats: bool[B, K]: bought before.
    """

    items: npt.NDArray[np.intp]
    scores: Floats
    repeats: npt.NDArray[np.bool_]


def shortlist(
    queries: npt.NDArray[np.float32],
    bought: OwnCells,
    entries: CompanionEntries,
    catalogue: Catalogue,
    most: int,
) -> Shortlist:
    """The ``most`` best items that can be bought, or all of them where there are fewer.

    Args:
        queries: float32[B, ITEM_DIMENSIONS].
        entries: companions of what was ``bought``.
    """
    batch, size = len(queries), len(catalogue)
    count = min(most, int(catalogue.buyable.sum()))
    if not count:
        return Shortlist(np.empty((batch, 0), np.intp), np.empty((batch, 0)), np.empty((batch, 0), np.bool_))
    products = _products(queries, catalogue)
    companion = ranking.companion_strength(entries, batch, catalogue)
    known = ranking.known_lines(bought, batch, catalogue)
    own_row, own_item = np.divmod(bought.cell, size)
    likeness = _cosines(products[own_row, own_item])
    names = ranking.unsold_names(bought, batch, catalogue)
    features = ranking.own_features(bought, companion[own_row, own_item], likeness, catalogue)
    own = ranking.weighted(features, catalogue.shop.ranking.own)

    estimates = _estimates(companion, products, names, known, catalogue)
    estimates[own_row, own_item] = own
    estimates[:, ~catalogue.buyable] = -np.inf
    last = np.partition(estimates, size - count, axis=1)[:, size - count]
    error = _ROUNDINGS * (_largest_terms(companion, catalogue) + np.abs(own).max(initial=0.0))
    # Twice the error, for the last of the best and for the one that is compared, and what rounding to steps adds.
    cells = np.flatnonzero(estimates >= (last - np.float32(2 * error + 1 / SCORE_STEPS))[:, None])

    row, item = np.divmod(cells, size)
    likeness = _cosines(products[row, item])
    name = ranking.unsold_name(row, item, names, catalogue)
    features = ranking.new_features(item, companion[row, item], likeness, name, known[row], catalogue)
    exact = ranking.weighted(features, catalogue.shop.ranking.new)
    place = np.searchsorted(bought.cell, cells)
    repeat = np.append(bought.cell, -1)[place] == cells
    exact[repeat] = own[place[repeat]]
    # Plus nothing, so that there is one zero.
    steps = np.rint(exact * SCORE_STEPS) + 0.0
    order = np.lexsort((-steps, row))
    best = order[np.searchsorted(row, np.arange(batch))[:, None] + np.arange(count)]
    return Shortlist(item[best], steps[best] / SCORE_STEPS, repeat[best])


def likeness_of(queries: npt.NDArray[np.float32], catalogue: Catalogue) -> Floats:
    """Cosine of each query and each item's name: float64[B, N]."""
    return _cosines(_products(queries, catalogue))


def _products(queries: npt.NDArray[np.float32], catalogue: Catalogue) -> npt.NDArray[np.float32]:
    # Integers small enough for float32 to add exactly: see ``serving.item_tower``.
    return quantised_queries(queries) @ catalogue.vectors.T


def _cosines(products: npt.NDArray[np.float32]) -> Floats:
    return np.asarray(products.astype(np.float64) / (QUERY_STEPS * VECTOR_STEPS))


def _estimates(
    companion: Floats, products: npt.NDArray[np.float32], names: Floats, known: Floats, catalogue: Catalogue
) -> npt.NDArray[np.float32]:
    """float32[B, N]: about the score of every item as one that was not bought before."""
    weight = dict(zip(NEW_FEATURES, catalogue.shop.ranking.new.tolist(), strict=True))
    month, week = catalogue.buyers
    root = weight["companion"] + weight["companion_share"] / np.sqrt(np.maximum(known, ranking.FEWEST_KNOWN))
    log = (weight["log_companion"] + weight["log_companion_x_buyers"] * month) / ranking.COMPANION_SCALE
    cosine = (weight["likeness"] + weight["likeness_x_unknown"] / (1.0 + known)) / (QUERY_STEPS * VECTOR_STEPS)
    popularity = weight["month_buyers"] * month + weight["week_buyers"] * week

    # In place: each pass over a batch of 64 costs as much as all that is exact.
    term = companion.astype(np.float32)
    total = np.sqrt(term)
    total *= root.astype(np.float32)[:, None]
    term *= np.float32(1 / ranking.COMPANION_FLOOR)
    term += 1
    np.log(term, out=term)
    term *= log.astype(np.float32)
    total += term
    np.multiply(products, cosine.astype(np.float32)[:, None], out=term)
    total += term
    total += popularity.astype(np.float32)
    alike = weight["unsold_name"] + weight["unsold_name_x_unknown"] / (1.0 + known)
    total[:, catalogue.unsold] += (weight["unsold"] + alike[:, None] * names).astype(np.float32)
    return total


def _largest_terms(companion: Floats, catalogue: Catalogue) -> float:
    """Not less than the absolute terms of any estimate, added up."""
    month, week = (float(each.max(initial=0.0)) for each in catalogue.buyers)
    strongest = float(companion.max(initial=0.0))
    log = np.log1p(strongest / ranking.COMPANION_FLOOR) / ranking.COMPANION_SCALE
    # A sum of roots times weights is not more than the sum of the roots times the largest weight.
    share = float(np.sqrt(catalogue.companions[1].max(initial=0.0)))
    most = np.array([month, week, strongest**0.5, log, log * month, share, *[1.0] * 5])
    return float(np.abs(catalogue.shop.ranking.new) @ most)
