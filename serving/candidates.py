"""Ranks what a customer may be shown: the model's retrieval, the own repeats and what is popular, in one score.

Everything is exact top-k over the catalogue in numpy, and ties break by item id, so the same inputs give the same
list in a batch of any size. Policies (what was just bought, caps, experiments) are the decisions' business. Called by
``serving.answers``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from serving.catalogue import Catalogue
from serving.histories import OwnItems
from serving.item_tower import QUERY_STEPS, VECTOR_STEPS, quantised_queries
from stream.contracts.scores import Candidate, Retriever

MOST: Final = 40
"""Candidates of one answer."""

REPEAT_WEIGHT: Final = 0.5
"""What the logarithm of one plus an own item's decayed count adds to a cosine."""

SCORE_STEPS: Final = 1_000_000
"""Scores are compared and written to six digits."""

_SHORTLIST: Final = 2 * MOST
"""Ranked before variants of one product are dropped."""

_ROW_STEPS: Final = 1 << 24
"""More than the rows of any catalogue. A step of the score times this, less the row, is exact in float64."""

_MIN_LIKENESS: Final = 0.35
"""Cosine below which no own item is named as the reason: names that share a word or two reach it."""


class OwnCells(NamedTuple):
    """What B customers bought, one entry for each customer and item that the catalogue knows.

    Attributes:
        cell: int64[M], ascending: customer times catalogue size plus catalogue row.
        lines: float64[M]: decayed purchase lines.
    """

    cell: npt.NDArray[np.int64]
    lines: npt.NDArray[np.float64]


def own_cells(own: OwnItems, catalogue: Catalogue) -> OwnCells:
    """``own`` summed by customer and item, without items that the catalogue does not know."""
    rows = catalogue.rows(own.item)
    known = rows >= 0
    cell, place = np.unique(own.row[known] * len(catalogue) + rows[known], return_inverse=True)
    return OwnCells(cell, np.bincount(place, own.lines[known], len(cell)).astype(np.float64))


def candidates(queries: npt.NDArray[np.float32], own: OwnItems, catalogue: Catalogue) -> list[list[Candidate]]:
    """At most ``MOST`` candidates for each of B customers, best first.

    Only items that can be bought and are not restricted, one of each item group.

    Args:
        queries: float32[B, ITEM_DIMENSIONS].
        own: what the customers bought.
    """
    batch, size = len(queries), len(catalogue)
    shortlist = min(_SHORTLIST, int(catalogue.buyable.sum()))
    if not shortlist:
        return [[] for _ in range(batch)]
    bought = own_cells(own, catalogue)
    keys = _keys(queries, bought, catalogue)
    ranked = np.argpartition(keys, size - shortlist, axis=1)[:, size - shortlist :]
    ranked = np.take_along_axis(ranked, np.argsort(-np.take_along_axis(keys, ranked, 1), axis=1), 1)
    values = np.ceil(np.take_along_axis(keys, ranked, 1) / _ROW_STEPS) / SCORE_STEPS

    cells = ranked + np.arange(batch)[:, None] * size
    repeats = np.isin(cells, bought.cell)
    edges = np.searchsorted(bought.cell, np.arange(batch + 1) * size)
    answers = []
    for row in range(batch):
        places = _first_of_each_group(catalogue, ranked[row].tolist())
        items = ranked[row, places]
        own_rows = bought.cell[edges[row] : edges[row + 1]] - row * size
        because = _likest(items, own_rows, catalogue)
        answers.append(
            _named(catalogue, items.tolist(), values[row, places].tolist(), repeats[row, places].tolist(), because)
        )
    return answers


def ranked_items(
    queries: npt.NDArray[np.float32],
    own: OwnItems,
    catalogue: Catalogue,
    most: int,
    bought: Sequence[frozenset[str]],
) -> tuple[list[list[str]], list[list[str]]]:
    """Item ids of B customers, best first, by the same score as ``candidates`` and before variants are dropped.

    Args:
        most: items of each ranking at most.
        bought: what each customer bought before.

    Returns:
        All items, and those that were not bought before.
    """
    keys = _keys(queries, own_cells(own, catalogue), catalogue)
    ids = catalogue.item_ids
    shortlist = min(len(ids), most + max(map(len, bought), default=0))
    if not shortlist:
        return [[] for _ in bought], [[] for _ in bought]
    ranked = np.argpartition(keys, len(ids) - shortlist, axis=1)[:, len(ids) - shortlist :]
    ranked = np.take_along_axis(ranked, np.argsort(-np.take_along_axis(keys, ranked, 1), axis=1), 1)
    everything: list[list[str]] = []
    new: list[list[str]] = []
    for row, before in enumerate(bought):
        items = [ids[place] for place in ranked[row].tolist() if keys[row, place] > -np.inf]
        everything.append(items[:most])
        new.append([item for item in items if item not in before][:most])
    return everything, new


def _keys(queries: npt.NDArray[np.float32], bought: OwnCells, catalogue: Catalogue) -> npt.NDArray[np.float64]:
    """What items are ranked by: float64[B, N]. No two of a row are equal: of equal scores the lower id is ahead."""
    # Integers small enough for float32 to add exactly: see ``serving.item_tower``.
    likeness = quantised_queries(queries) @ catalogue.vectors.T
    keys = likeness.astype(np.float64)
    keys *= SCORE_STEPS / (QUERY_STEPS * VECTOR_STEPS)
    if catalogue.tower is not None:
        keys += catalogue.popularity.astype(np.float64) * (SCORE_STEPS * catalogue.tower.popularity_weight)
    keys.ravel()[bought.cell] += SCORE_STEPS * REPEAT_WEIGHT * np.log1p(bought.lines)
    np.rint(keys, out=keys)
    keys *= _ROW_STEPS
    keys -= np.arange(len(catalogue))
    keys[:, ~catalogue.buyable] = -np.inf
    return keys


def _first_of_each_group(catalogue: Catalogue, rows: Sequence[int]) -> list[int]:
    places: list[int] = []
    taken: set[str] = set()
    groups = catalogue.groups
    for place, row in enumerate(rows):
        if (group := groups[row]) not in taken:
            taken.add(group)
            places.append(place)
            if len(places) == MOST:
                break
    return places


def _likest(items: npt.NDArray[np.intp], own: npt.NDArray[np.int64], catalogue: Catalogue) -> list[int]:
    """For each of ``items`` the row of the customer's own item with the nearest vector; -1 where none is near."""
    if not len(own):
        return [-1] * len(items)
    likeness = catalogue.vectors[items] @ catalogue.vectors[own].T
    nearest = likeness.argmax(axis=1)
    near = likeness.max(axis=1) >= _MIN_LIKENESS * VECTOR_STEPS**2
    rows: list[int] = np.where(near, own[nearest], -1).tolist()
    return rows


def _named(
    catalogue: Catalogue, rows: Sequence[int], values: Sequence[float], repeats: Sequence[bool], because: Sequence[int]
) -> list[Candidate]:
    ids, groups, has_vector = catalogue.item_ids, catalogue.groups, catalogue.has_vector
    return [
        Candidate(
            item_id=ids[row],
            score=value,
            retriever=_retriever(repeat, has_vector[row]),
            item_group_id=groups[row] if groups[row] != ids[row] else "",
            because_item_id=ids[row] if repeat else ids[own] if own >= 0 else "",
        )
        for row, value, repeat, own in zip(rows, values, repeats, because, strict=True)
    ]


def _retriever(repeat: bool, has_vector: bool) -> Retriever:
    if repeat:
        return "repeat"
    return "model" if has_vector else "trending"
