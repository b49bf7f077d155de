"""Ranks what a customer may be shown: the model's retrieval, the own repeats and what is popular, in one score.

Everything is exact top-k over the catalogue in numpy, and ties break by item id, so the same inputs give the same
list in a batch of any size. Policies (what was just bought, caps, experiments) are the decisions' business. Called by
``serving.answers``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from serving.catalogue import Catalogue
from serving.histories import OwnItems
from serving.item_tower import QUERY_STEPS, VECTOR_STEPS, quantised_queries
from serving.ranking import OwnCells, own_cells, scores
from stream.contracts.scores import Candidate, Retriever

MOST: Final = 40
"""Candidates of one answer."""

SCORE_STEPS: Final = 1_000_000
"""Scores are compared and written to six digits."""

_SHORTLIST: Final = 2 * MOST
"""Ranked before variants of one product are dropped."""

_ROW_STEPS: Final = 1 << 24
"""More than the rows of any catalogue. A step of the score times this, less the row, is exact in float64."""

_MIN_LIKENESS: Final = 0.35
"""Cosine below which no own item is named as the reason: names that share a word or two reach it."""


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
        mine = slice(edges[row], edges[row + 1])
        own_rows = bought.cell[mine] - row * size
        companion_of = _companion_of(items, own_rows, bought.lines[mine], catalogue)
        because = _likest(items, own_rows, catalogue)
        answers.append(
            [
                _named(catalogue, item, value, repeat, companion_of.get(item, -1), like)
                for item, value, repeat, like in zip(
                    items.tolist(), values[row, places].tolist(), repeats[row, places].tolist(), because, strict=True
                )
            ]
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


def likeness_of(queries: npt.NDArray[np.float32], catalogue: Catalogue) -> npt.NDArray[np.float64]:
    """Cosine of each query and each item's name: float64[B, N]."""
    # Integers small enough for float32 to add exactly: see ``serving.item_tower``.
    products = quantised_queries(queries) @ catalogue.vectors.T
    return np.asarray(products.astype(np.float64) / (QUERY_STEPS * VECTOR_STEPS))


def _keys(queries: npt.NDArray[np.float32], bought: OwnCells, catalogue: Catalogue) -> npt.NDArray[np.float64]:
    """What items are ranked by: float64[B, N]. No two of a row are equal: of equal scores the lower id is ahead."""
    keys = scores(bought, likeness_of(queries, catalogue), catalogue) * SCORE_STEPS
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


def _companion_of(
    items: npt.NDArray[np.intp], own: npt.NDArray[np.int64], lines: npt.NDArray[np.float64], catalogue: Catalogue
) -> dict[int, int]:
    """For those of ``items`` that go with something bought: the row of the own item that speaks for it most."""
    companions, weights = catalogue.companions
    # One more than the rows, which stays False: it is what a companion that is not sold any more points to.
    listed = np.zeros(len(catalogue) + 1, np.bool_)
    listed[items] = True
    targets = companions[own]
    places, columns = np.nonzero(listed[targets])
    strength = np.sqrt(lines[places]) * weights[own[places], columns]
    weakest_first = np.argsort(strength, kind="stable")
    weakest_first = weakest_first[strength[weakest_first] > 0]
    speaking = own[places[weakest_first]].tolist()
    return dict(zip(targets[places, columns][weakest_first].tolist(), speaking, strict=True))


def _likest(items: npt.NDArray[np.intp], own: npt.NDArray[np.int64], catalogue: Catalogue) -> list[int]:
    """For each of ``items`` the row of the customer's own item with the nearest vector; -1 where none is near."""
    if not len(own):
        return [-1] * len(items)
    likeness = catalogue.vectors[items] @ catalogue.vectors[own].T
    nearest = likeness.argmax(axis=1)
    near = likeness.max(axis=1) >= _MIN_LIKENESS * VECTOR_STEPS**2
    rows: list[int] = np.where(near, own[nearest], -1).tolist()
    return rows


def _named(catalogue: Catalogue, row: int, value: float, repeat: bool, companion_of: int, like: int) -> Candidate:
    retriever: Retriever
    if repeat:
        retriever, because = "repeat", row
    elif companion_of >= 0:
        retriever, because = "co_bought", companion_of
    else:
        retriever, because = "model" if catalogue.has_vector[row] else "trending", like
    ids, group = catalogue.item_ids, catalogue.groups[row]
    return Candidate(
        item_id=ids[row],
        score=value,
        retriever=retriever,
        item_group_id=group if group != ids[row] else "",
        because_item_id=ids[because] if because >= 0 else "",
    )
