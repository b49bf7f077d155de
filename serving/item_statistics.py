"""How the shop's items are bought: by how many lately, and which go with which.

Learned from the purchases up to a moment, without labels, so it can be as new as the purchases are. Kept in
``serving.shop``, read by ``serving.ranking``; ``tidemark evaluate`` makes it from the events that it is given.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from serving.co_purchase import MOST_CUSTOMERS, MOST_ITEMS, ease, histories, popular
from stream.contracts.ids import item_hash

if TYPE_CHECKING:
    from serving.history import Journey

COMPANIONS: Final = 64
"""Companions kept of each item. With all four thousand, recall of new items at 20 is .105, with these .103."""

MONTH_DAYS: Final = 30
WEEK_DAYS: Final = 10
"""Windows in which buyers are counted. Ten days, so that they hold the same weekdays for any shop that opens daily."""

_KNOWN_DAYS: Final = 730
_HALF_LIFE_DAYS: Final = 90.0
_RIDGE: Final = 200.0


class ItemStatistics(NamedTuple):
    """Of N items, in ascending order of their hashes.

    Attributes:
        hashes: uint64[N].
        month_buyers, week_buyers: float32[N]: customers who bought the item lately.
        companions: int32[N, K]: places of the items that its buyers buy too.
        weights: float32[N, K]: by how much, 0 where there are fewer; see ``co_purchase.ease``.
    """

    hashes: npt.NDArray[np.uint64]
    month_buyers: npt.NDArray[np.float32]
    week_buyers: npt.NDArray[np.float32]
    companions: npt.NDArray[np.int32]
    weights: npt.NDArray[np.float32]

    @classmethod
    def empty(cls) -> ItemStatistics:
        """Of a shop that has sold nothing."""
        nothing = np.empty(0, np.float32)
        return cls(
            np.empty(0, np.uint64),
            nothing,
            nothing,
            np.empty((0, COMPANIONS), np.int32),
            np.empty((0, COMPANIONS), np.float32),
        )

    @classmethod
    def learned(cls, journeys: Mapping[str, Journey], as_of: int) -> ItemStatistics:
        """From the purchases up to and including ``as_of`` (epoch milliseconds)."""
        known = popular(journeys, as_of, _KNOWN_DAYS)
        if not known:
            return cls.empty()
        best = sorted(known, key=lambda item: (-known[item], item))[:MOST_ITEMS]
        order = sorted(best, key=item_hash)
        index = {item: place for place, item in enumerate(order)}
        teachers = sorted(customer for customer, journey in journeys.items() if journey.times[0] <= as_of)
        teachers = teachers[:: 1 + len(teachers) // MOST_CUSTOMERS]
        bought = histories([journeys[customer] for customer in teachers], as_of, index, _HALF_LIFE_DAYS)
        # Whether at all, not how much: what is bought weekly would speak for everything else.
        together = ease(bought._replace(lines=np.ones(len(bought.lines))), len(order), _RIDGE)
        count = min(COMPANIONS, len(order))
        companions = np.argpartition(-together, count - 1, axis=1)[:, :count]
        companions.sort(axis=1)
        weights = np.take_along_axis(together, companions, 1).clip(0)
        month, week = (popular(journeys, as_of, days) for days in (MONTH_DAYS, WEEK_DAYS))
        return cls(
            np.array([item_hash(item) for item in order], np.uint64),
            np.array([month.get(item, 0) for item in order], np.float32),
            np.array([week.get(item, 0) for item in order], np.float32),
            companions.astype(np.int32),
            # As the file keeps them, so that what is measured is what is served.
            weights.astype(np.float16).astype(np.float32),
        )

    def without(self, hidden: npt.NDArray[np.bool_]) -> ItemStatistics:
        """As if nobody had bought the items ``hidden``, bool[N]."""
        kept, moved = ~hidden, np.cumsum(~hidden) - 1
        companions = self.companions[kept]
        gone = hidden[companions]
        return ItemStatistics(
            self.hashes[kept],
            self.month_buyers[kept],
            self.week_buyers[kept],
            np.where(gone, 0, moved[companions]).astype(np.int32),
            np.where(gone, np.float32(0), self.weights[kept]),
        )

    def places(self, hashes: npt.NDArray[np.uint64]) -> npt.NDArray[np.intp]:
        """Place of each hash, -1 where it is not known; any shape."""
        if not len(self.hashes):
            return np.full(hashes.shape, -1, np.intp)
        found = np.minimum(np.searchsorted(self.hashes, hashes), len(self.hashes) - 1)
        return np.where(self.hashes[found] == hashes, found, -1)
