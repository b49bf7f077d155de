"""The shortlist is that of scoring every item with the plain formula and sorting, whatever else is in the batch."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.catalogue import Catalogue
from serving.dataset import by_customer, examples
from serving.histories import OwnItems, read_interactions, read_own_items
from serving.history import catalogue_items
from serving.item_statistics import COMPANIONS, ItemStatistics
from serving.item_tower import ITEM_DIMENSIONS, ITEM_TOWER_FILE, ItemTower, read_item_tower
from serving.model_card import model_repository, version_folder
from serving.ranking import (
    NEW_FEATURES,
    OWN_FEATURES,
    RankWeights,
    buyers_feature,
    companion_entries,
    companion_strength,
    known_lines,
    new_features,
    own_cells,
    own_features,
    unsold_name,
    unsold_names,
    weighted,
)
from serving.shop import SHOP_FILE, Shop, read_shop
from serving.shortlist import SCORE_STEPS, Shortlist, likeness_of, shortlist
from serving.tokens import TOKEN_BUCKETS
from stream.contracts.catalogue import CatalogueItem
from stream.contracts.ids import item_hash
from stream.contracts.times import to_epoch_ms
from stream.operations.demo_events import sample
from stream.profiles import codec
from stream.profiles.settings import ProfileSettings


def found(queries: np.ndarray, own: OwnItems, catalogue: Catalogue, most: int) -> Shortlist:
    bought = own_cells(own, catalogue)
    return shortlist(queries, bought, companion_entries(bought, catalogue), catalogue, most)


def plain(queries: np.ndarray, own: OwnItems, catalogue: Catalogue, most: int) -> Shortlist:
    """Every item of every customer in float64, then sorted."""
    batch, size = len(queries), len(catalogue)
    bought = own_cells(own, catalogue)
    row, item = (each.ravel() for each in np.indices((batch, size)))
    companion = companion_strength(companion_entries(bought, catalogue), batch, catalogue).ravel()
    likeness = likeness_of(queries, catalogue).ravel()
    known = known_lines(bought, batch, catalogue)[row]
    name = unsold_name(row, item, unsold_names(bought, batch, catalogue), catalogue)
    score = weighted(new_features(item, companion, likeness, name, known, catalogue), catalogue.shop.ranking.new)
    features = own_features(bought, companion[bought.cell], likeness[bought.cell], catalogue)
    score[bought.cell] = weighted(features, catalogue.shop.ranking.own)
    steps = (np.rint(score * SCORE_STEPS) + 0.0).reshape(batch, size)
    count = min(most, int(catalogue.buyable.sum()))
    order = np.argsort(np.where(catalogue.buyable, -steps, np.inf), axis=1, kind="stable")[:, :count]
    repeats = np.isin(order + np.arange(batch)[:, None] * size, bought.cell)
    return Shortlist(order, np.take_along_axis(steps, order, 1) / SCORE_STEPS, repeats)


def same(one: Shortlist, other: Shortlist) -> bool:
    return all(a.tobytes() == b.tobytes() for a, b in zip(one, other, strict=True))


WORDS = ("RED", "BLUE", "TIN")


def drawn_shop(random: np.random.Generator, items: int) -> Catalogue:
    """A shop in which many items are alike, so that scores lie close together and some are equal; a few were never
    sold."""
    ids = [f"{n:03d}" for n in range(items)]
    listed = [
        CatalogueItem(
            i,
            f"{WORDS[random.integers(3)]} THING {WORDS[random.integers(3)]}",
            availability=("in_stock", "out_of_stock")[random.integers(2)],
        )
        for i in ids
    ]
    sold = int(random.integers(items // 2, items + 1))
    hashes = np.sort(np.array([item_hash(i) for i in random.permutation(ids)[:sold]], np.uint64))
    statistics = ItemStatistics(
        hashes,
        random.integers(0, 3, sold).astype(np.float32),
        random.integers(0, 2, sold).astype(np.float32),
        random.integers(0, sold, (sold, COMPANIONS)).astype(np.int32),
        (random.random((sold, COMPANIONS)) * random.integers(0, 2, (sold, 1)) * 0.1).astype(np.float32),
    )
    weights = RankWeights(random.normal(size=len(OWN_FEATURES)), random.normal(size=len(NEW_FEATURES)) * 3)
    tower = ItemTower(random.normal(size=(TOKEN_BUCKETS, ITEM_DIMENSIONS)).astype(np.float16))
    return Catalogue.from_items(listed, tower, Shop.unknown()._replace(items=statistics, ranking=weights))


def drawn_purchases(random: np.random.Generator, batch: int, items: int) -> OwnItems:
    count = int(random.integers(0, 6 * batch))
    hashes = np.array([item_hash(f"{n:03d}") for n in random.integers(0, items, count)], np.uint64)
    lines = 10.0 ** random.uniform(-14, 2, count)
    return OwnItems(random.integers(0, batch, count), hashes, lines, random.uniform(0, 4_000, count))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 5), st.integers(1, 60))
def test_it_is_that_of_the_plain_formula(seed, batch, most):
    random = np.random.default_rng(seed)
    catalogue = drawn_shop(random, 80)
    own = drawn_purchases(random, batch, 80)
    queries = random.normal(size=(batch, ITEM_DIMENSIONS)).astype(np.float32) * random.integers(0, 2)
    assert same(found(queries, own, catalogue, most), plain(queries, own, catalogue, most))


def close_scores(items: int) -> tuple[Catalogue, OwnItems]:
    """A shop whose items have scores of 250, a few millionths apart: half of a digit of float32 there is eight.

    What an item lacks in buyers it has as a companion of what the customer bought, in its own proportion.
    """
    listed = [CatalogueItem(f"{n:03d}", "CLOCK") for n in range(items)] + [CatalogueItem("own", "CLOCK")]
    hashes = np.sort(np.array([item_hash(i.item_id) for i in listed], np.uint64))
    random = np.random.default_rng(0)
    month = random.integers(0, 60, len(listed)).astype(np.float32)
    root = (250 - 100 * buyers_feature(month)) / 300
    companions = np.arange(len(listed), dtype=np.int32)[None, :].repeat(len(listed), 0)
    strengths = (root**2 + random.uniform(0, 1e-7, len(listed))).astype(np.float32)[None, :].repeat(len(listed), 0)
    statistics = ItemStatistics(hashes, month, np.zeros_like(month), companions, strengths)
    new = np.array([{"companion": 300.0, "month_buyers": 100.0}.get(name, 0.0) for name in NEW_FEATURES])
    shop = Shop.unknown()._replace(items=statistics, ranking=RankWeights(np.zeros(len(OWN_FEATURES)), new))
    own = OwnItems(np.zeros(1, np.intp), np.array([item_hash("own")], np.uint64), np.ones(1), np.ones(1))
    return Catalogue.from_items(listed, None, shop), own


def test_scores_that_float32_cannot_tell_apart_are_ranked_as_they_are():
    catalogue, own = close_scores(400)
    query = np.zeros((1, ITEM_DIMENSIONS), np.float32)
    for most in (1, 3, 20):
        assert same(found(query, own, catalogue, most), plain(query, own, catalogue, most))


@pytest.fixture(scope="module")
def demo():
    """The shipped model's shop, the sample's items, and a hundred of its customers at the end of the sample."""
    events = list(sample())
    end = max(to_epoch_ms(event.time) for event in events)
    folder = version_folder(model_repository())
    shop, tower = read_shop(folder / SHOP_FILE), read_item_tower(folder / ITEM_TOWER_FILE)
    histories = dict(list(by_customer(events).items())[:100])
    calendar = [e for e in examples(histories, [end], end, ProfileSettings()) if e.trigger is None]
    profiles = [codec.decode(example.profile) for example in calendar]
    moments = np.full(len(profiles), end, np.int64)
    own = read_own_items(profiles, moments, read_interactions(profiles))
    queries = np.random.default_rng(1).normal(size=(len(profiles), ITEM_DIMENSIONS)).astype(np.float32)
    return queries, own, Catalogue.from_items(catalogue_items(events, end), tower, shop)


@pytest.mark.parametrize("most", [1, 80, 100_000])
def test_on_the_demos_customers_it_is_that_of_the_plain_formula(demo, most):
    queries, own, catalogue = demo
    assert len(queries) > 50
    assert same(found(queries, own, catalogue, most), plain(queries, own, catalogue, most))


def test_most_items_are_never_scored_exactly(demo, monkeypatch):
    """Else it would be no quicker than the plain formula."""
    queries, own, catalogue = demo
    scored = []
    monkeypatch.setattr(
        "serving.ranking.new_features", lambda item, *rest: scored.append(len(item)) or new_features(item, *rest)
    )
    found(queries, own, catalogue, 80)
    assert 80 * len(queries) <= sum(scored) < 90 * len(queries)
