"""What a model knows of its shop beside the network: the season, the purchase rates, and how its items are bought.

A file next to the network (``shop.npz``); ``serving.training`` writes it, ``serving.catalogue`` carries it to the
features and to the ranking. Item statistics age quickly: they can be replaced by newer ones without a new network.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from serving.item_statistics import ItemStatistics
from serving.purchase_rates import PurchaseRates
from serving.ranking import NEW_FEATURES, OWN_FEATURES, RankWeights
from serving.season import DAYS, Season

SHOP_FILE: Final = "shop.npz"

GIFT_SHOP_RATES: Final = PurchaseRates(0.75, 9.5, 0.15, 5.0)
"""In weeks; about what BG/NBD finds on a year of Online Retail II. For a model without a shop of its own."""


class Shop(NamedTuple):
    """See the module."""

    first: int
    """Epoch milliseconds of the first purchase known: before a year is over, less is known than a year brings."""
    season: Season
    rates: PurchaseRates
    """In weeks of shop days."""
    items: ItemStatistics
    ranking: RankWeights

    @classmethod
    def unknown(cls) -> Shop:
        """Of which nothing is known: no season, no items."""
        return cls(0, Season.flat(), GIFT_SHOP_RATES, ItemStatistics.empty(), RankWeights.default())


def read_shop(path: Path) -> Shop:
    """Read ``shop.npz``.

    Raises:
        ValueError: it was written by another version of Tidemark.
    """
    with np.load(path, allow_pickle=False) as stored:
        season, own, new = stored["season"], stored["rank_own"], stored["rank_new"]
        shapes = (season.shape, own.shape, new.shape)
        if shapes != ((DAYS,), (len(OWN_FEATURES),), (len(NEW_FEATURES),)):
            raise ValueError(
                f"{path} has arrays of shapes {shapes}: train the model again with this version of Tidemark"
            )
        return Shop(
            int(stored["first"]),
            Season(season.astype(np.float64)),
            PurchaseRates(*stored["rates"].tolist()),
            ItemStatistics(
                stored["hashes"],
                stored["month_buyers"].astype(np.float32),
                stored["week_buyers"].astype(np.float32),
                stored["companions"].astype(np.int32),
                stored["weights"].astype(np.float32),
            ),
            RankWeights(own.astype(np.float64), new.astype(np.float64)),
        )


def write_shop(path: Path, shop: Shop) -> None:
    """Write ``shop.npz``, compressed."""
    np.savez_compressed(
        path,
        first=np.int64(shop.first),
        season=shop.season.intensity.astype(np.float32),
        rates=np.array(shop.rates, np.float64),
        rank_own=shop.ranking.own.astype(np.float32),
        rank_new=shop.ranking.new.astype(np.float32),
        hashes=shop.items.hashes,
        month_buyers=shop.items.month_buyers.astype(np.uint16),
        week_buyers=shop.items.week_buyers.astype(np.uint16),
        companions=shop.items.companions.astype(np.uint16),
        weights=shop.items.weights.astype(np.float16),
    )
