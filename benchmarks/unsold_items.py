"""What likeness of names brings to items that nobody bought yet, and what it costs the others, as docs/model.md says.

    python -m benchmarks.unsold_items EVENTS [CUTOFF...]

Needs the extra `train`. A model is trained on what was known before each cut-off, as `tidemark train` does. It ranks
next baskets with and without its weights for items without a known sale: all items as they are, and with a tenth of
them hidden from statistics and histories, as if these were new. The query has seen the hidden ones in training, so what
is said of it there flatters.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt
import torch

from serving.candidates import ranked_items
from serving.catalogue import Catalogue
from serving.dataset import ELIGIBLE_DAYS, Example, calendar_cutoffs, examples
from serving.evaluation.baselines.rfm import eligible
from serving.evaluation.metrics import recalls_at
from serving.evaluation.report import sellable
from serving.evaluation.truth import Truth, bought_before, truth_after
from serving.features import tensors
from serving.histories import OwnItems, read_interactions, read_own_items
from serving.item_statistics import ItemStatistics
from serving.ranking import NEW_FEATURES, RankWeights
from serving.training.runs import Made, Source
from serving.training.settings import TrainingSettings
from serving.training.train import FIRST_CUTOFF_DAYS, make, predictor, read_source
from stream.contracts.times import DAY_MS, to_epoch_ms
from stream.profiles import codec
from stream.profiles.settings import ProfileSettings

CUTOFFS: Final = ("2010-12-10", "2011-03-11")
SETTINGS: Final = TrainingSettings(threads=1)
HIDDEN: Final = 10
"""One item in so many is hidden,"""
_REMAINDER: Final = 3
"""and not those that the ranking learned from by being hidden."""

BASKETS: Final = {"1 basket": (1, 2), "2 to 4": (2, 5), "5 or more": (5, 10_000)}
_RANKED: Final = 20
_BATCH: Final = 256


class Asked(NamedTuple):
    """Customers at a cut-off, and what they did then."""

    found: list[Example]
    before: list[frozenset[str]]
    truth: Truth


class Shown(NamedTuple):
    """What is known of the shop, to the profile and to the ranking."""

    named: Catalogue
    """Names the items of histories."""
    ranked: Catalogue
    hidden: npt.NDArray[np.uint64]
    """Hashes that are taken out of histories."""


def main(arguments: Sequence[str]) -> None:
    """Print the table."""
    torch.set_num_threads(1)
    settings = ProfileSettings()
    source = read_source([Path(arguments[0])], settings, arguments[0])
    cutoffs = calendar_cutoffs(source.first + FIRST_CUTOFF_DAYS * DAY_MS, source.end, SETTINGS.calendar_step_days)
    found = [e for e in examples(source.histories, cutoffs, source.end, settings) if e.as_of > cutoffs[0]]
    print("| | all | new only | " + " | ".join(BASKETS) + " | hidden | among hidden |\n|" + " --- |" * 8)
    for day in arguments[1:] or CUTOFFS:
        until = to_epoch_ms(datetime.fromisoformat(day).replace(tzinfo=UTC)) - 1
        made = make(source, found, until, SETTINGS, lambda what, done, of: None)
        asked = asked_at(source, until, settings)
        for hiding in (False, True):
            for weights in (without_names(made.shop.ranking), made.shop.ranking):
                name = f"{day}, {'a tenth hidden, ' if hiding else ''}"
                name += "with names" if weights is made.shop.ranking else "without"
                figures = measured(made, source, asked, weights, hiding)
                print(
                    f"| {name} | " + " | ".join("" if np.isnan(f) else f"{f:.4f}" for f in figures) + " |", flush=True
                )


def asked_at(source: Source, until: int, settings: ProfileSettings) -> Asked:
    """Everybody eligible at ``until`` who bought again."""
    wanted = set(eligible(source.journeys, until, ELIGIBLE_DAYS))
    past = {
        customer: [event for event in events if to_epoch_ms(event.time) <= until]
        for customer, events in source.histories.items()
        if customer in wanted
    }
    found = [e for e in examples(past, [until + 1], until + 1, settings) if e.trigger is None]
    truth = truth_after(source.journeys, [e.customer_id for e in found], until, source.end)
    again = np.flatnonzero([bool(basket) for basket in truth.baskets])
    found = [found[row] for row in again]
    before = [bought_before(source.journeys[e.customer_id], until) for e in found]
    return Asked(found, before, truth_after(source.journeys, [e.customer_id for e in found], until, source.end))


def without_names(weights: RankWeights) -> RankWeights:
    """The weights with none for items without a known sale."""
    sold = np.array([not name.startswith("unsold") for name in NEW_FEATURES])
    return weights._replace(new=np.where(sold, weights.new, 0.0))


def measured(made: Made, source: Source, asked: Asked, weights: RankWeights, hiding: bool) -> list[float]:
    """Recall at 20 of all items, of the new ones, of these by ``BASKETS``, and of the hidden ones among all new items
    and among themselves."""
    shop = made.shop._replace(items=ItemStatistics.learned(source.journeys, made.until), ranking=weights)
    whole = sellable(source.events, made.until, made.tower, shop)
    if not hiding:
        everything, new = rankings(made, asked, Shown(whole, whole, np.empty(0, np.uint64)))
        return [*_of_all(asked, everything, new), float("nan"), float("nan")]
    hidden = whole.hashes % HIDDEN == _REMAINDER
    ids = [item for item, gone in zip(whole.item_ids, hidden.tolist(), strict=True) if gone]
    statistics = shop.items.without(shop.items.hashes % HIDDEN == _REMAINDER)
    ranked = whole.with_model(made.tower, shop._replace(items=statistics))
    named = whole.changed(dict.fromkeys(ids))
    sold_out = {
        item: msgspec.structs.replace(listed, availability="out_of_stock")
        for item in whole.item_ids
        if (listed := whole.get(item)) is not None and item not in set(ids)
    }
    everything, new = rankings(made, asked, Shown(named, ranked, whole.hashes[hidden]))
    _, alone = rankings(made, asked, Shown(named, ranked.changed(sold_out), whole.hashes[hidden]))
    baskets = [basket & frozenset(ids) for basket in asked.truth.new_baskets]
    return [*_of_all(asked, everything, new), *(_recall(each, baskets) for each in (new, alone))]


def rankings(made: Made, asked: Asked, shown: Shown) -> tuple[list[list[str]], list[list[str]]]:
    """The best items of each customer, and the best of those not bought before."""
    predict, everything, new = predictor(made.fitted.served()), [], []
    for rows in _batches(len(asked.found)):
        chosen = asked.found[rows]
        profiles = [codec.decode(example.profile) for example in chosen]
        moments = np.array([example.as_of for example in chosen], np.int64)
        own = read_own_items(profiles, moments, read_interactions(profiles))
        kept = ~np.isin(own.item, shown.hidden)
        own = OwnItems(own.row[kept], own.item[kept], own.lines[kept], own.days[kept])
        query = np.asarray(predict(tensors(profiles, moments.tolist(), shown.named))["query"])
        best, best_new = ranked_items(query, own, shown.ranked, _RANKED, asked.before[rows])
        everything += best
        new += best_new
    return everything, new


def _batches(size: int) -> Iterator[slice]:
    return (slice(start, start + _BATCH) for start in range(0, size, _BATCH))


def _of_all(asked: Asked, everything: list[list[str]], new: list[list[str]]) -> list[float]:
    each = recalls_at(new, asked.truth.new_baskets, _RANKED)
    history = asked.truth.history
    by_history = [float(np.nanmean(each[(history >= few) & (history < many)])) for few, many in BASKETS.values()]
    return [_recall(everything, asked.truth.baskets), float(np.nanmean(each)), *by_history]


def _recall(ranked: Sequence[Sequence[str]], baskets: Sequence[frozenset[str]]) -> float:
    return float(np.nanmean(recalls_at(ranked, baskets, _RANKED)))


if __name__ == "__main__":
    main(sys.argv[1:])
