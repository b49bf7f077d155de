"""Names what a customer may be shown: the best of the ranking, one of each product group, each with its reason.

Ties break by item id and nothing is sampled, so the same inputs give the same list in a batch of any size. Policies
(what was just bought, caps, experiments) are the decisions' business. Called by ``serving.answers``.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

import numpy as np
import numpy.typing as npt

from serving.catalogue import Catalogue
from serving.histories import OwnItems
from serving.item_tower import VECTOR_STEPS
from serving.ranking import CompanionEntries, OwnCells, companion_entries, own_cells
from serving.shortlist import shortlist
from stream.contracts.scores import Candidate, Retriever

MOST: Final = 40
"""Candidates of one answer."""

_SHORTLIST: Final = 2 * MOST
"""Ranked before variants of one product are dropped."""

_MIN_LIKENESS: Final = 0.35
"""Cosine below which no own item is named as the reason: names that share a word or two reach it."""

_NOTHING: Final = -1


def candidates(queries: npt.NDArray[np.float32], own: OwnItems, catalogue: Catalogue) -> list[list[Candidate]]:
    """At most ``MOST`` candidates for each of B customers, best first.

    Only items that can be bought and are not restricted, one of each item group.

    Args:
        queries: float32[B, ITEM_DIMENSIONS].
        own: what the customers bought.
    """
    size = len(catalogue)
    bought = own_cells(own, catalogue)
    entries = companion_entries(bought, catalogue)
    ranked = shortlist(queries, bought, entries, catalogue, _SHORTLIST)
    named = _first_of_each_group(catalogue.group_codes[ranked.items])
    row, item, repeat = np.nonzero(named)[0], ranked.items[named], ranked.repeats[named]
    because = np.where(repeat, item, _NOTHING)
    other = np.flatnonzero(~repeat)
    because[other] = _companion_of(row[other] * (size + 1) + item[other], bought, entries, len(queries), catalogue)
    co_bought = ~repeat & (because != _NOTHING)
    other = np.flatnonzero(because == _NOTHING)
    because[other] = _likest(row[other], item[other], bought, catalogue)
    retrievers: list[Retriever] = ["trending", "model", "co_bought", "repeat"]
    retrieved = np.select([repeat, co_bought], [3, 2], catalogue.has_vector[item].astype(np.intp))

    ids, groups = catalogue.item_ids, catalogue.groups
    found = [
        Candidate(
            ids[place],
            score,
            retrievers[by],
            groups[place] if groups[place] != ids[place] else "",
            ids[reason] if reason != _NOTHING else "",
        )
        for place, score, by, reason in zip(
            item.tolist(), ranked.scores[named].tolist(), retrieved.tolist(), because.tolist(), strict=True
        )
    ]
    edges = np.searchsorted(row, np.arange(len(queries) + 1)).tolist()
    return [found[first:last] for first, last in pairwise(edges)]


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
    cells = own_cells(own, catalogue)
    deep = most + max(map(len, bought), default=0)
    ranked = shortlist(queries, cells, companion_entries(cells, catalogue), catalogue, deep)
    ids = catalogue.item_ids
    everything = [[ids[place] for place in places] for places in ranked.items.tolist()]
    new = [
        [item for item in items if item not in before][:most] for items, before in zip(everything, bought, strict=True)
    ]
    return [items[:most] for items in everything], new


def _first_of_each_group(groups: npt.NDArray[np.intp]) -> npt.NDArray[np.bool_]:
    """bool[B, K] of intp[B, K]: True for the first of each value in its row, ``MOST`` of a row at most."""
    order = np.argsort(groups, axis=1, kind="stable")
    ordered = np.take_along_axis(groups, order, 1)
    first = np.ones(groups.shape, np.bool_)
    np.put_along_axis(first, order[:, 1:], ordered[:, 1:] != ordered[:, :-1], axis=1)
    return first & (np.cumsum(first, axis=1) <= MOST)


def _companion_of(
    cells: npt.NDArray[np.intp], bought: OwnCells, entries: CompanionEntries, batch: int, catalogue: Catalogue
) -> npt.NDArray[np.intp]:
    """intp[C]: the row of the own item that speaks most for each cell; ``_NOTHING`` where none does.

    Args:
        cells: intp[C], as in ``CompanionEntries``.
    """
    place_of = np.full(batch * (len(catalogue) + 1), _NOTHING, np.intp)
    place_of[cells] = np.arange(len(cells))
    place = place_of[entries.cell.ravel()]
    speaking = np.flatnonzero((place != _NOTHING) & (entries.strength.ravel() > 0))
    # Of several values for one place, an assignment keeps the last.
    strongest_last = speaking[np.argsort(entries.strength.ravel()[speaking], kind="stable")]
    own_item = bought.cell % max(len(catalogue), 1)
    found = np.full(len(cells), _NOTHING, np.intp)
    found[place[strongest_last]] = own_item[strongest_last // max(entries.cell.shape[1], 1)]
    return found


def _likest(
    row: npt.NDArray[np.intp], item: npt.NDArray[np.intp], bought: OwnCells, catalogue: Catalogue
) -> npt.NDArray[np.intp]:
    """intp[C]: for each pair of a customer and an item the row of the customer's own item with the nearest vector;
    ``_NOTHING`` where none is near. ``row`` is ascending."""
    found = np.full(len(row), _NOTHING, np.intp)
    asking, first = np.unique(row, return_index=True)
    own_row, own_item = np.divmod(bought.cell, max(len(catalogue), 1))
    starts, stops = (np.searchsorted(own_row, asking, side=side) for side in ("left", "right"))
    edges = np.append(first, len(row))
    for begin, end, start, stop in zip(edges[:-1], edges[1:], starts, stops, strict=True):
        own = own_item[start:stop]
        if len(own):
            likeness = catalogue.vectors[item[begin:end]] @ catalogue.vectors[own].T
            near = likeness.max(axis=1) >= _MIN_LIKENESS * VECTOR_STEPS**2
            found[begin:end] = np.where(near, own[likeness.argmax(axis=1)], _NOTHING)
    return found
