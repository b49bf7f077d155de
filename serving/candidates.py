"""Ranks what a customer may be shown: the model's retrieval, the own repeats and what is popular, in one score.

Everything is exact top-k over the catalogue in numpy, and ties break by item id, so the same inputs give the same list in a batch of
any size. Policies (what was just bought, caps, experiments) are the decisions' business. Called by ``serving.answers``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from serving.catalogue import Catalogue
from serving.histories import OwnItems
from serving.item_tower import QUERY_STEPS, VECTOR_STEPS, quantised_queries
from stream.contracts.scores import Candidate, Retriever

MOST: Final = 40
"""Candidates of one answer."""

REPEAT_WEIGHT: Final = 0.5
"""What the logarithm of one plus an own item's decayed count adds to a cosine; chosen on the calibration period."""

_SHORTLIST: Final = 3 * MOST
"""Ranked before variants of one product are dropped."""

_SCORE_STEPS: Final = 1_000_000
"""Scores are compared and written to six digits."""

_ROW_BITS: Final = 24
_NEVER: Final = -(1 << 62)
"""Key of what must not be shown; its negative is still an int64."""

_MIN_LIKENESS: Final = 0.35
"""Cosine below which no own item is named as the reason: names that share a word or two reach it."""


def scores(
    queries: npt.NDArray[np.float32], counts: npt.NDArray[np.float64], catalogue: Catalogue
) -> npt.NDArray[np.float64]:
    """Blended score of every item for every customer: float64[B, N], rows of the catalogue; ``counts`` as ``own_counts``."""
    # Integers small enough for float32 to add exactly: see ``serving.item_tower``.
    likeness = quantised_queries(queries) @ catalogue.vectors.T
    blended = likeness.astype(np.float64) / (QUERY_STEPS * VECTOR_STEPS)
    if catalogue.tower is not None:
        blended += catalogue.tower.popularity_weight * catalogue.popularity.astype(np.float64)
    return blended + REPEAT_WEIGHT * np.log1p(counts)


def own_counts(batch: int, own: OwnItems, catalogue: Catalogue) -> npt.NDArray[np.float64]:
    """Decayed purchase lines of each customer and item: float64[B, N]."""
    rows = catalogue.rows(own.item)
    known = rows >= 0
    cells = own.row[known] * len(catalogue) + rows[known]
    return np.bincount(cells, own.count[known], batch * len(catalogue)).reshape(batch, len(catalogue))


def candidates(queries: npt.NDArray[np.float32], own: OwnItems, catalogue: Catalogue) -> list[list[Candidate]]:
    """At most ``MOST`` candidates for each of B customers, best first.

    Only items that can be bought and are not restricted, one of each item group.

    Args:
        queries: float32[B, ITEM_DIMENSIONS].
        own: what the customers bought.
    """
    batch = len(queries)
    if not len(catalogue) or not catalogue.buyable.any():
        return [[] for _ in range(batch)]
    counts = own_counts(batch, own, catalogue)
    steps = np.rint(scores(queries, counts, catalogue) * _SCORE_STEPS).astype(np.int64)
    # Item rows are sorted by id: with the row in the low bits no two keys are equal, and the lower id wins a tie.
    keys = (steps << _ROW_BITS) - np.arange(len(catalogue))
    keys[:, ~catalogue.buyable] = _NEVER
    shortlist = min(_SHORTLIST, int(catalogue.buyable.sum()))
    ranked = np.argpartition(-keys, shortlist - 1, axis=1)[:, :shortlist]
    ranked = np.take_along_axis(ranked, np.argsort(-np.take_along_axis(keys, ranked, 1), axis=1), 1)
    values = np.take_along_axis(steps, ranked, 1) / _SCORE_STEPS

    repeats = np.take_along_axis(counts, ranked, 1) > 0
    because = _likest_own(ranked, counts, catalogue)
    return [
        _one_per_group(catalogue, ranked[i].tolist(), values[i].tolist(), repeats[i].tolist(), because[i])
        for i in range(batch)
    ]


def _likest_own(
    ranked: npt.NDArray[np.intp], counts: npt.NDArray[np.float64], catalogue: Catalogue
) -> list[list[int]]:
    """For each candidate the row of the customer's own item with the nearest vector; -1 where none is near."""
    found: list[list[int]] = []
    threshold = _MIN_LIKENESS * VECTOR_STEPS**2
    for row, own_count in zip(ranked[:, :_SHORTLIST], counts, strict=True):
        own = np.flatnonzero(own_count)
        if not len(own):
            found.append([-1] * len(row))
            continue
        likeness = catalogue.vectors[row] @ catalogue.vectors[own].T
        nearest = likeness.argmax(axis=1)
        near = likeness[np.arange(len(row)), nearest] >= threshold
        found.append(np.where(near, own[nearest], -1).tolist())
    return found


def _one_per_group(
    catalogue: Catalogue, rows: Sequence[int], values: Sequence[float], repeats: Sequence[bool], because: Sequence[int]
) -> list[Candidate]:
    chosen: list[Candidate] = []
    groups: set[str] = set()
    item_ids, group_of, has_vector = catalogue.item_ids, catalogue.groups, catalogue.has_vector
    for row, value, repeat, own in zip(rows, values, repeats, because, strict=True):
        group = group_of[row]
        if group in groups:
            continue
        groups.add(group)
        retriever: Retriever = "repeat" if repeat else "model" if has_vector[row] else "trending"
        item_id = item_ids[row]
        chosen.append(
            Candidate(
                item_id=item_id,
                score=value,
                retriever=retriever,
                item_group_id=group if group != item_id else "",
                because_item_id=item_id if repeat else item_ids[own] if own >= 0 else "",
            )
        )
        if len(chosen) == MOST:
            break
    return chosen
