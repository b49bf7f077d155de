"""What a ranking is made of: companions, buyers, own repeats; and that statistics know nothing of what comes after."""

import numpy as np
import pytest

from serving.candidates import candidates
from serving.catalogue import Catalogue
from serving.histories import OwnItems
from serving.history import journeys
from serving.item_statistics import ItemStatistics
from serving.item_tower import ITEM_DIMENSIONS
from serving.ranking import NEW_FEATURES, OWN_FEATURES, RankWeights, companion_entries, companion_strength, own_cells
from serving.shop import SHOP_FILE, Shop, read_shop, write_shop
from stream.contracts.catalogue import CatalogueItem
from stream.contracts.events import Event, Item
from stream.contracts.ids import item_hash
from stream.contracts.times import DAY_MS
from stream.profiles.settings import ProfileSettings
from tests.unit.serving.recorded_shop import START

END = START + 100 * DAY_MS


def bought_together() -> dict[str, list[str]]:
    """Twenty buy tea with cups, twenty paint with brushes, and five tea alone."""
    baskets = {f"t{n}": ["tea", "cup"] for n in range(20)} | {f"p{n}": ["paint", "brush"] for n in range(20)}
    return baskets | {f"a{n}": ["tea"] for n in range(5)}


def statistics(until: int = END) -> ItemStatistics:
    events = [
        Event(f"{name}-{day}", "purchase", START + day * DAY_MS, name, items=[Item(i, price=1.0) for i in items])
        for name, items in bought_together().items()
        for day in (1, 80)
    ]
    events.append(
        Event("late", "purchase", END + DAY_MS, "t0", items=[Item("brush", price=1.0), Item("new", price=1.0)])
    )
    return ItemStatistics.learned(journeys(events, ProfileSettings()), until)


def own(*items: str) -> OwnItems:
    hashes = np.array([item_hash(item) for item in items], np.uint64)
    return OwnItems(np.zeros(len(items), np.intp), hashes, np.ones(len(items)), np.full(len(items), 20.0))


WEIGHTS = RankWeights(
    np.array([float(name == "bought") for name in OWN_FEATURES]),
    np.array([{"companion": 1.0, "month_buyers": 0.01}.get(name, 0.0) for name in NEW_FEATURES]),
)
ITEMS = [CatalogueItem(i, i) for i in ("tea", "cup", "paint", "brush", "new")]


def catalogue(weights: RankWeights = WEIGHTS) -> Catalogue:
    return Catalogue.from_items(ITEMS, None, Shop.unknown()._replace(items=statistics(), ranking=weights))


def test_what_goes_with_what_was_bought_is_named_with_its_reason():
    query = np.zeros((1, ITEM_DIMENSIONS), np.float32)
    named = candidates(query, own("tea"), catalogue())[0]
    assert [(c.item_id, c.retriever, c.because_item_id) for c in named[:2]] == [
        ("tea", "repeat", "tea"),
        ("cup", "co_bought", "tea"),
    ]
    assert {c.retriever for c in named[2:]} == {"trending"}
    assert named[-1].item_id == "new"


def test_companions_are_strong_where_many_bought_both_and_nothing_speaks_for_itself():
    shop = catalogue()
    entries = companion_entries(own_cells(own("tea", "brush"), shop), shop)
    strength = companion_strength(entries, 1, shop)[0]
    by_item = dict(zip(shop.item_ids, strength.tolist(), strict=True))
    assert by_item["cup"] > 0.05
    assert by_item["paint"] > 0.05
    assert by_item["tea"] == by_item["brush"] == by_item["new"] == 0


def test_statistics_know_nothing_from_after_their_moment():
    before, after = statistics(END), statistics(END + 10 * DAY_MS)
    assert len(after.hashes) == len(before.hashes) + 1
    assert before.places(np.array([item_hash("new")], np.uint64)).tolist() == [-1]
    cup = int(before.places(np.array([item_hash("cup")], np.uint64))[0])
    assert before.month_buyers[cup] == 20
    assert before.week_buyers[cup] == 0


NAMED = RankWeights(
    np.array([float(name == "bought") for name in OWN_FEATURES]),
    np.array([float(name in {"unsold", "unsold_name"}) for name in NEW_FEATURES]),
)


@pytest.mark.parametrize(("bought", "first"), [("cup", "new cup"), ("brush", "new brush")])
def test_of_items_that_nobody_bought_yet_that_with_the_nearest_name_is_ahead(bought, first):
    listed = [*ITEMS, CatalogueItem("new cup", "BLUE CUP"), CatalogueItem("new brush", "BLUE BRUSH")]
    shop = Catalogue.from_items(listed, None, catalogue(NAMED).shop)
    ranked = candidates(np.zeros((1, ITEM_DIMENSIONS), np.float32), own(bought, "tea"), shop)[0]
    assert next(c.item_id for c in ranked if c.retriever != "repeat") == first
    assert [shop.item_ids[row] for row in shop.unsold] == ["new", "new brush", "new cup"]


def test_an_item_that_cannot_be_bought_takes_no_place_among_the_unsold():
    gone = CatalogueItem("gone", "BLUE CUP", availability="out_of_stock")
    shop = Catalogue.from_items([*ITEMS, gone], None, catalogue().shop)
    assert [shop.item_ids[row] for row in shop.unsold] == ["new"]


def test_hidden_items_are_as_if_nobody_had_bought_them():
    known = statistics()
    tea, cup, brush = known.places(np.array([item_hash(each) for each in ("tea", "cup", "brush")], np.uint64))
    kept = known.without(np.arange(len(known.hashes)) == cup)
    assert kept.places(known.hashes[[cup]]).tolist() == [-1]

    def speaks_for(found: ItemStatistics, item: int, other: int) -> float:
        row, place = found.places(known.hashes[[item, other]])
        return float(found.weights[row][found.companions[row] == place].sum())

    assert speaks_for(known, tea, cup) > 0.05
    assert kept.weights[kept.places(known.hashes[[tea]])[0]].sum() == pytest.approx(
        known.weights[tea].sum() - speaks_for(known, tea, cup), abs=1e-6
    )
    assert speaks_for(kept, brush, tea) == speaks_for(known, brush, tea)


def test_an_empty_shop_has_no_statistics_and_still_ranks():
    empty = ItemStatistics.learned({}, END)
    assert empty.places(np.array([1], np.uint64)).tolist() == [-1]
    shop = Catalogue.from_items(ITEMS)
    assert len(candidates(np.zeros((1, ITEM_DIMENSIONS), np.float32), own("cup"), shop)[0]) == 5


def test_a_written_shop_is_read_back(tmp_path):
    shop = Shop.unknown()._replace(first=START, items=statistics(), ranking=WEIGHTS)
    write_shop(tmp_path / SHOP_FILE, shop)
    again = read_shop(tmp_path / SHOP_FILE)
    assert (again.first, again.rates) == (shop.first, shop.rates)
    assert all(np.array_equal(a, b) for a, b in zip(again.items, shop.items, strict=True))
    assert np.allclose(again.ranking.new, shop.ranking.new)
    assert np.array_equal(again.season.intensity, shop.season.intensity)
    np.savez(tmp_path / "other.npz", **dict(np.load(tmp_path / SHOP_FILE)) | {"rank_own": np.ones(3)})
    with pytest.raises(ValueError, match="train the model again"):
        read_shop(tmp_path / "other.npz")
