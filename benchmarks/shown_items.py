"""The examples, items and truth that ``benchmarks.ablation_items`` trains and measures its networks on.

A fifth of the items is hidden from histories and labels of training and from histories of the test.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from serving.catalogue import Catalogue
from serving.co_purchase import popular
from serving.dataset import by_customer, calendar_cutoffs, examples
from serving.evaluation.baselines.rfm import eligible
from serving.evaluation.truth import bought_before
from serving.history import catalogue_items, journeys, outcome
from serving.holdout import is_demo_customer
from serving.model_card import HORIZONS_DAYS
from serving.season import Season
from serving.shop import Shop
from serving.tokens import TOKENS_PER_ITEM
from serving.training.arrays import ExampleArrays, Labels, example_arrays, labels
from serving.training.known import POPULAR_DAYS, purchase_rates
from stream.contracts.events import Event
from stream.contracts.ids import item_hash
from stream.contracts.times import DAY_MS
from stream.profiles.settings import ProfileSettings

HIDDEN: Final = 5
"""One item in so many is hidden."""


class Shown(NamedTuple):
    """Everything that all variants share."""

    arrays: ExampleArrays
    """Of training; ``history_tokens`` holds the row of the item plus one in its first place."""
    known: Labels
    test: ExampleArrays
    baskets: list[frozenset[int]]
    """Rows of the next basket, by test example."""
    before: list[frozenset[int]]
    """Rows bought before."""
    churned: npt.NDArray[np.bool_]
    hidden: npt.NDArray[np.bool_]
    """By row of the catalogue."""
    log_popularity: npt.NDArray[np.float32]


def prepared(events: list[Event], cutoff: int, settings: ProfileSettings) -> tuple[Catalogue, Shown]:
    """Arrays, labels and truth."""
    histories, until = by_customer(events), cutoff - 1
    own = journeys(events, settings)
    season = Season.learned(own.values(), until)
    shop = Shop.unknown()._replace(
        first=min(int(journey.times[0]) for journey in own.values()),
        season=season,
        rates=purchase_rates(own, season, until),
    )
    catalogue = Catalogue.from_items(catalogue_items(events, until), shop=shop)
    rowwise = Catalogue.from_items(catalogue_items(events, until), shop=shop)
    rowwise.tokens = ids_of(len(rowwise))
    moments = calendar_cutoffs(cutoff - 340 * DAY_MS, cutoff, 7)
    found = [example for example in examples(histories, moments, cutoff, settings) if example.as_of < cutoff]
    judged = set(eligible(own, until))
    test = [e for e in found if e.as_of == until and e.trigger is None and e.customer_id in judged]
    train = [
        e
        for e in found
        if until - 240 * DAY_MS <= e.as_of <= until - HORIZONS_DAYS[0] * DAY_MS and not is_demo_customer(e.customer_id)
    ]
    end = max(int(journey.times[-1]) for journey in own.values())
    outcomes = [outcome(own[e.customer_id], until, end, HORIZONS_DAYS) for e in test]
    hidden = catalogue.hashes % HIDDEN == 0
    known = labels(train, own, until, catalogue)
    known.next_items[np.append(hidden, False)[known.next_items]] = -1
    arrays = [example_arrays(each, rowwise, lambda what, done, of: None) for each in (train, test)]
    for each in arrays:
        tokens = each.tensors["history_tokens"]
        tokens[np.insert(hidden, 0, False)[tokens]] = 0
    buyers = popular(own, until, POPULAR_DAYS)
    return catalogue, Shown(
        arrays[0],
        known,
        arrays[1],
        [rows_of(catalogue, each.basket) for each in outcomes],
        [rows_of(catalogue, bought_before(own[e.customer_id], until)) for e in test],
        np.array([not any(each.bought) for each in outcomes]),
        hidden,
        np.log1p([buyers.get(item, 0) for item in catalogue.item_ids]).astype(np.float32),
    )


def rows_of(catalogue: Catalogue, items: Sequence[str] | frozenset[str]) -> frozenset[int]:
    """Rows of those items that the catalogue knows."""
    found = catalogue.rows(np.array([item_hash(item) for item in items], np.uint64))
    return frozenset(found[found >= 0].tolist())


def ids_of(items: int) -> npt.NDArray[np.int32]:
    """int32[items + 1, tokens]: each item's row plus one; the last row is zero."""
    table = np.zeros((items + 1, TOKENS_PER_ITEM), np.int32)
    table[:-1, 0] = np.arange(1, items + 1)
    return table
