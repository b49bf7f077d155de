"""Weights of the ranking: what they learn of items that nobody bought yet, they learn from items that are hidden."""

import random

import pytest

pytest.importorskip("torch", reason="training needs the extra `train`, which `make test` installs")

import numpy as np

from serving.candidates import ranked_items
from serving.catalogue import Catalogue
from serving.dataset import by_customer, examples
from serving.histories import read_interactions, read_own_items
from serving.history import catalogue_items, journeys
from serving.item_statistics import ItemStatistics
from serving.item_tower import ITEM_DIMENSIONS
from serving.ranking import NEW_FEATURES, RankWeights
from serving.shop import Shop
from serving.training.ranker import fit_ranking
from stream.contracts.catalogue import CatalogueItem
from stream.contracts.events import Event, Item
from stream.contracts.times import DAY_MS
from stream.profiles import codec
from stream.profiles.settings import ProfileSettings
from tests.unit.serving.recorded_shop import START, THINGS

COLOURS = ("RED", "BLUE", "GREEN", "PINK", "BLACK", "WHITE", "IVORY", "GOLD", "LILAC", "AMBER", "CORAL", "MINT")
SETTINGS = ProfileSettings()
MOMENT, UNTIL = START + 60 * DAY_MS, START + 120 * DAY_MS


def collectors() -> list[Event]:
    """Ninety customers, each of whom collects one thing in ever other colours."""
    drawn, events = random.Random(3), []
    for customer in range(90):
        thing, colours = customer % len(THINGS), list(range(len(COLOURS)))
        drawn.shuffle(colours)
        for visit, day in enumerate((5, 25, 45, 65)):
            lines = [
                Item(f"{thing}-{colour}", f"{COLOURS[colour]} {THINGS[thing]}", price=1.0)
                for colour in colours[2 * visit : 2 * visit + 2]
            ]
            events.append(Event(f"{customer}-{visit}", "purchase", START + day * DAY_MS, str(customer), items=lines))
    return events


def no_query(tensors):
    return {"query": np.zeros((len(tensors["stats"]), ITEM_DIMENSIONS), np.float32)}


@pytest.fixture(scope="module")
def learned():
    """The weights, the examples of the moment, and the catalogue as it was known then."""
    histories, own = by_customer(collectors()), journeys(collectors(), SETTINGS)
    shop = Shop.unknown()._replace(items=ItemStatistics.learned(own, MOMENT))
    catalogue = Catalogue.from_items(catalogue_items(collectors(), UNTIL), None, shop)
    found = [e for e in examples(histories, [MOMENT + 1], MOMENT + 1, SETTINGS) if e.trigger is None]
    return fit_ranking([(found, catalogue)], own, UNTIL, no_query, 1), found, catalogue


def test_who_collects_a_thing_is_shown_a_new_one_of_it(learned):
    weights, found, catalogue = learned
    listed = [CatalogueItem(f"new-{number}", f"SILVER {thing}") for number, thing in enumerate(THINGS)]
    shop = catalogue.shop._replace(ranking=weights)
    listed_too = catalogue.changed({item.item_id: item for item in listed}).with_model(None, shop)
    profiles = [codec.decode(example.profile) for example in found]
    own = read_own_items(profiles, np.full(len(found), MOMENT, np.int64), read_interactions(profiles))
    queries = np.zeros((len(found), ITEM_DIMENSIONS), np.float32)
    ranked, _ = ranked_items(queries, own, listed_too, len(listed_too), [frozenset()] * len(found))
    first = [next(item for item in items if item.startswith("new-")) for items in ranked]
    assert first == [f"new-{int(example.customer_id) % len(THINGS)}" for example in found]


def test_what_nobody_bought_is_weighed_by_its_name_and_the_rest_by_what_goes_with_it(learned):
    weight = dict(zip(NEW_FEATURES, learned[0].new.tolist(), strict=True))
    assert weight["unsold_name"] > 0.5
    assert weight["companion"] + weight["log_companion"] > 0.1


def test_too_few_customers_teach_nothing(learned):
    _, found, catalogue = learned
    few = fit_ranking([(found[:20], catalogue)], journeys(collectors(), SETTINGS), UNTIL, no_query, 1)
    assert all(np.array_equal(a, b) for a, b in zip(few, RankWeights.default(), strict=True))
