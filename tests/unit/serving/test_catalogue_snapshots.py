import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from serving.catalogue import Catalogue
from serving.item_statistics import ItemStatistics
from serving.item_tower import ITEM_DIMENSIONS, ItemTower
from serving.shop import Shop
from serving.tokens import TOKEN_BUCKETS, name_tokens
from stream.contracts.catalogue import CatalogueItem
from stream.contracts.ids import item_hash
from tests.unit.serving.recorded_shop import shop_items

ITEMS = shop_items(6)


def tower() -> ItemTower:
    embeddings = np.random.default_rng(1).normal(size=(TOKEN_BUCKETS, ITEM_DIMENSIONS)).astype(np.float16)
    embeddings[0] = 0
    return ItemTower(embeddings)


@given(st.permutations(ITEMS))
def test_version_depends_on_content_not_on_order(items):
    assert Catalogue.from_items(items).version == Catalogue.from_items(ITEMS).version


@given(st.lists(st.sampled_from(ITEMS)), st.lists(st.sampled_from([item.item_id for item in ITEMS])))
def test_changing_step_by_step_equals_building_from_scratch(added, removed):
    changed = Catalogue.from_items([])
    for item in added:
        changed = changed.with_item(item)
    for item_id in removed:
        changed = changed.without_item(item_id)
    rest = {item.item_id: item for item in added if item.item_id not in removed}
    scratch = Catalogue.from_items(rest.values())
    assert changed.version == scratch.version
    assert changed.item_ids == scratch.item_ids
    assert np.array_equal(changed.tokens, scratch.tokens)


def test_version_changes_with_availability_but_not_with_the_time_of_writing():
    item = ITEMS[0]
    version = Catalogue.from_items([item]).version
    sold_out = CatalogueItem(item.item_id, item.item_name, availability="out_of_stock")
    later = CatalogueItem(item.item_id, item.item_name, updated_at=1_300_000_000_000)
    assert Catalogue.from_items([sold_out]).version != version
    assert Catalogue.from_items([later]).version == version


def test_a_snapshot_never_changes():
    before = Catalogue.from_items(ITEMS)
    version, count = before.version, len(before)
    after = before.without_item(ITEMS[0].item_id).with_item(CatalogueItem("new", "NEW THING"))
    assert (before.version, len(before), before.get("new")) == (version, count, None)
    assert after.get("new") == CatalogueItem("new", "NEW THING")
    assert after.get(ITEMS[0].item_id) is None


def test_rows_are_found_by_hash_and_unknown_items_are_minus_one():
    catalogue = Catalogue.from_items(ITEMS)
    hashes = np.array([[item_hash(i.item_id) for i in ITEMS], [0, 1, 2, 3, 4, 5]], np.uint64)
    rows = catalogue.rows(hashes)
    assert [catalogue.item_ids[row] for row in rows[0]] == [i.item_id for i in ITEMS]
    assert rows[1].tolist() == [-1] * 6
    assert catalogue.tokens[rows[0][0]].tolist() == list(name_tokens(ITEMS[0].item_name))
    assert not catalogue.tokens[-1].any()


def test_an_empty_catalogue_knows_nothing():
    catalogue = Catalogue.from_items([])
    assert catalogue.rows(np.array([1, 2], np.uint64)).tolist() == [-1, -1]
    assert len(catalogue) == 0
    assert catalogue.by_popularity.tolist() == []


def test_restricted_and_sold_out_items_cannot_be_bought():
    catalogue = Catalogue.from_items(
        [
            CatalogueItem("a"),
            CatalogueItem("b", availability="preorder"),
            CatalogueItem("c", availability="out_of_stock"),
            CatalogueItem("d", availability="discontinued"),
            CatalogueItem("e", restricted=True),
        ]
    )
    assert catalogue.buyable.tolist() == [True, True, False, False, False]


def test_items_rank_by_how_many_bought_them_lately_and_then_by_id():
    hashes = np.sort(np.array([item_hash("00001"), item_hash("00003")], np.uint64))
    buyers = np.array([2, 5] if hashes[0] == item_hash("00001") else [5, 2], np.float32)
    none = np.zeros((2, 1))
    statistics = ItemStatistics(hashes, buyers, buyers, none.astype(np.int32), none.astype(np.float32))
    shop = Shop.unknown()._replace(items=statistics)
    catalogue = Catalogue.from_items(ITEMS).with_model(tower(), shop)
    ranked = [catalogue.item_ids[row] for row in catalogue.by_popularity]
    assert ranked == ["00003", "00001", "00000", "00002", "00004", "00005"]


def test_vectors_are_integers_of_about_unit_length_and_zero_without_a_known_word():
    catalogue = Catalogue.from_items([*ITEMS, CatalogueItem("zz", "")], tower())
    assert np.array_equal(catalogue.vectors, np.rint(catalogue.vectors))
    assert np.allclose(np.linalg.norm(catalogue.vectors[:-1], axis=1), 127, atol=2)
    assert not catalogue.vectors[-1].any()
    assert catalogue.has_vector.tolist() == [True] * 6 + [False]
    assert not Catalogue.from_items(ITEMS).vectors.any()


def test_an_item_without_a_group_is_its_own():
    catalogue = Catalogue.from_items([CatalogueItem("a", item_group_id="g"), CatalogueItem("b")])
    assert catalogue.groups == ["g", "b"]
