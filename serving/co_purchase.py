"""What is bought together: item-to-item weights from the histories of all customers, in plain numpy.

Two ways that are hard to beat (Dacrema et al. 2019): cosines of the customers who bought two items, and EASE (Steck
2019), a linear autoencoder in closed form. Both are dense in the items, so the most popular few thousand take part.
Called by ``serving.item_statistics`` for the ranker and by the item baselines of ``serving.evaluation``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from stream.contracts.times import DAY_MS

if TYPE_CHECKING:
    from serving.history import Journey

Floats = npt.NDArray[np.float32]

MOST_ITEMS: Final = 5_000
"""Items that take part at most. A matrix of their pairs takes 100 MB, its inverse 10 s on a core."""

MOST_CUSTOMERS: Final = 20_000
"""Histories that are learned from at most; customers beyond are left out evenly."""

_CHUNK: Final = 1_024


class Histories(NamedTuple):
    """What N customers bought, one entry for each customer and item: P entries in order of ``row``."""

    row: npt.NDArray[np.int64]
    item: npt.NDArray[np.int64]
    lines: npt.NDArray[np.float64]
    """Purchases of the item, faded."""
    customers: int

    def dense(self, items: int) -> Iterator[tuple[slice, Floats]]:
        """The customers chunk by chunk: which, and float32[chunk, items] of their lines."""
        starts = np.searchsorted(self.row, np.arange(0, self.customers + _CHUNK, _CHUNK))
        for number, start in enumerate(range(0, self.customers, _CHUNK)):
            stop = min(start + _CHUNK, self.customers)
            entries = slice(starts[number], starts[number + 1])
            table = np.zeros((stop - start, items), np.float32)
            table[self.row[entries] - start, self.item[entries]] = self.lines[entries]
            yield slice(start, stop), table


def popular(journeys: Mapping[str, Journey], as_of: int, days: int) -> dict[str, int]:
    """Customers who bought each item in the ``days`` up to ``as_of``, by item id."""
    buyers: dict[str, int] = {}
    for journey in journeys.values():
        first, last = np.searchsorted(journey.times, [as_of - days * DAY_MS, as_of], side="right")
        for item in {item for items in journey.items[first:last] for item in items}:
            buyers[item] = buyers.get(item, 0) + 1
    return buyers


def histories(
    journeys: Sequence[Journey], as_of: int, index: Mapping[str, int], half_life_days: float | None
) -> Histories:
    """The purchases up to and including ``as_of`` of items in ``index``, faded by their age.

    Args:
        half_life_days: None counts every purchase as one.
    """
    rows: list[int] = []
    items: list[int] = []
    ages: list[float] = []
    for row, journey in enumerate(journeys):
        known = int(np.searchsorted(journey.times, as_of, side="right"))
        for time, bought in zip(journey.times[:known].tolist(), journey.items[:known], strict=True):
            own = [index[item] for item in bought if item in index]
            rows += [row] * len(own)
            items += own
            ages += [(as_of - time) / DAY_MS] * len(own)
    size = max(len(index), 1)
    cell, place = np.unique(np.array(rows, np.int64) * size + np.array(items, np.int64), return_inverse=True)
    weight = np.exp2(-np.array(ages) / half_life_days) if half_life_days else np.ones(len(ages))
    lines = np.bincount(place, weight, len(cell)).astype(np.float64)
    return Histories(cell // size, cell % size, lines, len(journeys))


def shared_buyers(bought: Histories, items: int) -> Floats:
    """float32[items, items]: products of the customers' lines, summed."""
    together = np.zeros((items, items), np.float32)
    for _, table in bought.dense(items):
        together += table.T @ table
    return together


def cosines(bought: Histories, items: int, shrink: float) -> Floats:
    """Cosine of two items' buyers, shrunk where few bought both; 0 on the diagonal: float32[items, items]."""
    binary = bought._replace(lines=np.ones(len(bought.lines)))
    together = shared_buyers(binary, items)
    buyers = np.sqrt(np.maximum(np.diag(together), 1e-9))
    alike = together / (buyers[:, None] * buyers[None, :] + shrink)
    np.fill_diagonal(alike, 0)
    return alike.astype(np.float32)


def ease(bought: Histories, items: int, ridge: float) -> Floats:
    """Weights of the linear autoencoder that never predicts an item by itself: float32[items, items]."""
    together = shared_buyers(bought, items)
    together[np.diag_indices(items)] += ridge
    inverse = np.linalg.inv(together)
    weights = -inverse / np.diag(inverse)[None, :]
    np.fill_diagonal(weights, 0)
    return weights.astype(np.float32)
