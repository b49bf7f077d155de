"""What was known at a moment: season, purchase rates, catalogue, and examples with the outcomes that were over by then.

Networks are fitted on it; it fits none. Called by ``serving.training.train`` and ``serving.training.judged``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from serving.catalogue import Catalogue
from serving.co_purchase import popular
from serving.dataset import Example
from serving.history import Journey, catalogue_items
from serving.model_card import HORIZONS_DAYS
from serving.purchase_rates import PurchaseRates, fit_purchase_rates
from serving.season import Season
from serving.shop import GIFT_SHOP_RATES, Shop
from serving.training.arrays import ExampleArrays, Labels, Report, example_arrays, labels
from serving.training.fit import ItemTable
from serving.training.runs import Source
from serving.training.settings import TrainingSettings
from stream.contracts.times import DAY_MS

POPULAR_DAYS: Final = 90


class Known(NamedTuple):
    """What networks are fitted on: all that was known at a moment."""

    examples: list[Example]
    shop: Shop
    """Season and purchase rates of that moment."""
    catalogue: Catalogue
    arrays: ExampleArrays
    labels: Labels
    items: ItemTable


def known_at(source: Source, found: Sequence[Example], until: int, settings: TrainingSettings, report: Report) -> Known:
    """The examples up to ``until`` (epoch milliseconds), as far as their outcomes were known then."""
    season = Season.learned(source.journeys.values(), until)
    shop = Shop.unknown()._replace(
        first=source.first, season=season, rates=purchase_rates(source.journeys, season, until)
    )
    catalogue = Catalogue.from_items(catalogue_items(source.events, until), shop=shop)
    oldest = until - (HORIZONS_DAYS[-1] + settings.oldest_days) * DAY_MS
    recent = [example for example in found if oldest <= example.as_of <= until]
    log_popularity = np.log1p(_buyers(source.journeys, until, catalogue)).astype(np.float32)
    return Known(
        recent,
        shop,
        catalogue,
        example_arrays(recent, catalogue, report),
        labels(recent, source.journeys, until, catalogue),
        ItemTable(torch.from_numpy(catalogue.tokens[:-1].astype(np.int64)), torch.from_numpy(log_popularity)),
    )


def purchase_rates(journeys: Mapping[str, Journey], season: Season, until: int) -> PurchaseRates:
    """BG/NBD in weeks of shop days, on everybody who bought up to ``until``."""
    now = float(season.elapsed(np.array([until + 1]))[0])
    rows = []
    for customer in sorted(journeys):
        times = journeys[customer].times
        days = np.unique(times[times <= until] // DAY_MS)
        if len(days):
            first, last = season.elapsed(days[[0, -1]] * DAY_MS)
            rows.append((len(days) - 1, (last - first) / 7, (now - first) / 7))
    if not rows:
        return GIFT_SHOP_RATES
    table = np.array(rows, np.float64)
    return fit_purchase_rates(table[:, 0], table[:, 1], table[:, 2])


def _buyers(journeys: Mapping[str, Journey], until: int, catalogue: Catalogue) -> npt.NDArray[np.int64]:
    """Customers who bought each item in the last ``POPULAR_DAYS``: int64[N]."""
    buyers = popular(journeys, until, POPULAR_DAYS)
    return np.array([buyers.get(item, 0) for item in catalogue.item_ids], np.int64)
