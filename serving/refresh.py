"""Newer item statistics for a model that stays as it is: a new version of it, whose network is the same file.

How an item is bought changes within weeks, what the network has learned within months. Statistics are learned as at
training, from the purchases that are given. It promotes nothing. Called by ``tidemark models refresh``.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import msgspec

from serving.history import journeys
from serving.item_statistics import ItemStatistics
from serving.item_tower import ITEM_TOWER_FILE
from serving.model_card import MODEL_FILE, ModelCard, read_model_card, write_model_card
from serving.shop import SHOP_FILE, Shop, read_shop, write_shop
from stream.contracts.events import Event
from stream.contracts.times import to_rfc3339
from stream.profiles.settings import ProfileSettings

AS_OF: Final = "item_statistics_as_of"
"""Setting of the card: the newest purchase that item statistics know of. Absent, they are as old as the network."""

_LEAST_ITEMS: Final = 0.5
"""Share of the items known so far that newer purchases must name."""

_LEAST_BUYERS: Final = 0.1
"""Share of the buyers of a month, over all items, that must remain. No season moves them so far; a log that holds only
some of the shop's customers does."""


class RefreshRefused(ValueError):
    """The events would make item statistics worse; no version was written."""


def refreshed_shop(shop: Shop, events: Iterable[Event], settings: ProfileSettings) -> tuple[Shop, int]:
    """``shop`` with the item statistics of ``events``, and the moment of their newest purchase, epoch milliseconds.

    Season, purchase rates and weights of the ranking stay: the network was trained with them.

    Args:
        events: canonical, in any order; two years of purchases are learned from.

    Raises:
        RefreshRefused: the events hold no purchase, fewer than half of the items known so far, or so few buyers that
            they cannot be all of the shop's.
    """
    purchases = journeys(events, settings)
    if not purchases:
        raise RefreshRefused("the events hold no purchase in a known currency: give the shop's history")
    as_of = max(int(journey.times[-1]) for journey in purchases.values())
    learned = ItemStatistics.learned(purchases, as_of)
    known, found = len(shop.items.hashes), len(learned.hashes)
    if found < _LEAST_ITEMS * known:
        raise RefreshRefused(
            f"the events name {found:,} items, the model's statistics know {known:,}: what is missing would never be "
            "recommended as going with something; give a longer history, or train a model for another shop"
        )
    before, after = (int(each.month_buyers.sum()) for each in (shop.items, learned))
    if after < _LEAST_BUYERS * before:
        raise RefreshRefused(
            f"in the last month of the events items were bought {after:,} times, in that of the model's statistics "
            f"{before:,} times (each customer and item once): give the events of all customers"
        )
    return shop._replace(items=learned), as_of


def refresh(folder: Path, events: Iterable[Event], settings: ProfileSettings, number: int) -> ModelCard:
    """Write version ``number`` beside ``folder``, with the item statistics of ``events``, and return its card.

    Args:
        folder: version folder of the customer model.
        number: of the new version; no such folder may be there.

    Raises:
        RefreshRefused: see ``refreshed_shop``, or the present statistics know of later purchases.
        FileExistsError: there is such a version.
    """
    target = folder.with_name(str(number))
    if target.exists():
        raise FileExistsError(f"{target} is there already: give the number of a new version")
    card = read_model_card(folder)
    shop, as_of = refreshed_shop(read_shop(folder / SHOP_FILE), events, settings)
    # Whole seconds, so that moments compare as their texts do.
    moment, known = to_rfc3339(as_of // 1000 * 1000), str(card.settings.get(AS_OF, ""))
    if moment < known:
        raise RefreshRefused(f"the newest purchase is of {moment}, version {card.version} knows of one of {known}")
    unfinished = folder.with_name(f".unfinished-{number}")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir()
    for name in (MODEL_FILE, ITEM_TOWER_FILE):
        shutil.copyfile(folder / name, unfinished / name)
    write_shop(unfinished / SHOP_FILE, shop)
    network = card.version.partition(".")[2]
    finished = msgspec.structs.replace(card, version=f"{number}.{network}", settings={**card.settings, AS_OF: moment})
    write_model_card(unfinished, finished)
    unfinished.replace(target)
    return finished
