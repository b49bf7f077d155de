import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.answers import answers, validate
from serving.candidates import MOST, candidates
from serving.catalogue import Catalogue
from serving.histories import OwnItems
from serving.item_tower import ITEM_DIMENSIONS, ItemTower
from serving.model_card import HORIZONS
from serving.scorer import OUTPUTS, BadOutput
from serving.tokens import TOKEN_BUCKETS
from stream.contracts.catalogue import CatalogueItem
from stream.contracts.events import Event, Item
from stream.contracts.ids import item_hash
from stream.contracts.scores import ModelStamp, ScoreRequest
from stream.contracts.times import DAY_MS
from tests.unit.serving.recorded_shop import START, shop_items
from tests.unit.serving.test_features import folded

STAMP = ModelStamp("customer", "1.abc", "0123456789abcdef")


def tower(seed: int = 1) -> ItemTower:
    embeddings = np.random.default_rng(seed).normal(size=(TOKEN_BUCKETS, ITEM_DIMENSIONS)).astype(np.float16)
    embeddings[0] = 0
    return ItemTower(embeddings)


def outputs(batch: int, seed: int = 2) -> dict[str, np.ndarray]:
    random = np.random.default_rng(seed)
    churn = np.sort(random.random((batch, 3), np.float32))[:, ::-1]
    return {
        "churn": np.ascontiguousarray(churn),
        "raw_churn": np.ascontiguousarray(churn) ** 2,
        "revenue": random.random((batch, 2), np.float32) * 100,
        "query": random.normal(size=(batch, ITEM_DIMENSIONS)).astype(np.float32),
    }


def own(*bought: tuple[int, str, float]) -> OwnItems:
    return OwnItems(
        np.array([row for row, _, _ in bought], np.intp),
        np.array([item_hash(item) for _, item, _ in bought], np.uint64),
        np.array([count for _, _, count in bought], np.float64),
        np.full(len(bought), 30.0),
    )


NOTHING = own()
CATALOGUE = Catalogue.from_items(shop_items(), tower())
QUERY = outputs(1)["query"]


def test_an_answer_carries_rounded_churn_raw_churn_and_stamps():
    profile = folded([Event("1", "purchase", START, "c", items=[Item("00001", price=2.0)])])
    made = outputs(1)
    (answer,) = answers(made, [profile], [ScoreRequest("score", as_of=START + DAY_MS)], CATALOGUE, STAMP, "EUR")
    assert list(answer.churn) == list(HORIZONS)
    for column, horizon in enumerate(HORIZONS):
        assert answer.churn[horizon] == round(float(made["churn"][0, column]), 3)
        assert answer.raw_churn[horizon] == float(made["raw_churn"][0, column])
    assert answer.expected_revenue_180d == pytest.approx(float(made["revenue"][0, 0]), abs=0.005)
    assert answer.median_revenue_180d == pytest.approx(float(made["revenue"][0, 1]), abs=0.005)
    assert (answer.currency, answer.model, answer.catalogue_version) == ("EUR", STAMP, CATALOGUE.version)
    assert not answer.fallback
    (repeat,) = [candidate for candidate in answer.candidates if candidate.retriever == "repeat"]
    assert (repeat.item_id, repeat.because_item_id) == ("00001", "00001")


@pytest.mark.parametrize("name", [spec.name for spec in OUTPUTS])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_bad(name, value):
    made = outputs(3)
    made[name][1, 0] = value
    with pytest.raises(BadOutput, match=f"{name} holds NaN or infinity in row 1"):
        validate(made, 3)


@pytest.mark.parametrize(("name", "value"), [("churn", 1.01), ("churn", -0.01), ("raw_churn", 2.0), ("revenue", -1.0)])
def test_what_is_out_of_range_is_bad(name, value):
    made = outputs(3)
    made[name][2, 1] = value
    with pytest.raises(BadOutput, match="in row 2"):
        validate(made, 3)


@pytest.mark.parametrize("name", [spec.name for spec in OUTPUTS])
def test_a_tensor_that_is_missing_misshapen_or_of_another_type_is_bad(name):
    made = outputs(3)
    for wrong in (made[name][:2], made[name][:, :-1], made[name].astype(np.float64)):
        with pytest.raises(BadOutput, match=f"{name} came as"):
            validate(made | {name: wrong}, 3)
    with pytest.raises(BadOutput, match=f"without {name}"):
        validate({other: array for other, array in made.items() if other != name}, 3)


def test_an_empty_batch_has_no_answers():
    assert answers(outputs(0), [], [], CATALOGUE, STAMP) == []


def test_the_nearest_items_come_first_and_ties_break_by_id():
    catalogue = Catalogue.from_items([CatalogueItem(i, "RED LANTERN") for i in "cba"], tower())
    ranked = candidates(QUERY, NOTHING, catalogue)[0]
    assert [c.item_id for c in ranked] == ["a", "b", "c"]
    assert len({c.score for c in ranked}) == 1
    everything = candidates(QUERY, NOTHING, CATALOGUE)[0]
    cosines = CATALOGUE.vectors @ QUERY[0] / np.linalg.norm(QUERY) / 127
    best = CATALOGUE.item_ids[int(cosines.argmax())]
    assert everything[0].item_id == best
    assert everything[0].score == pytest.approx(cosines.max(), abs=2e-3)
    assert [c.score for c in everything] == sorted((c.score for c in everything), reverse=True)


def test_at_most_forty_are_named_and_each_once():
    items = [CatalogueItem(f"{n:03d}", f"WORD{n}") for n in range(200)]
    ranked = candidates(QUERY, NOTHING, Catalogue.from_items(items, tower()))[0]
    assert len(ranked) == MOST == len({c.item_id for c in ranked})
    assert {c.propensity for c in ranked} == {1.0}


def test_what_cannot_be_bought_is_never_named_even_when_bought_before():
    items = [
        CatalogueItem("a", "RED LANTERN", availability="out_of_stock"),
        CatalogueItem("b", "RED LANTERN", restricted=True),
        CatalogueItem("c", "BLUE CLOCK"),
    ]
    catalogue = Catalogue.from_items(items, tower())
    assert [c.item_id for c in candidates(QUERY, own((0, "a", 9.0), (0, "b", 9.0)), catalogue)[0]] == ["c"]
    assert candidates(QUERY, NOTHING, catalogue.without_item("c")) == [[]]
    assert candidates(QUERY, NOTHING, Catalogue.from_items([])) == [[]]


def test_of_the_variants_of_one_product_only_the_best_is_named():
    items = [CatalogueItem(i, f"LANTERN {i}", item_group_id="lantern") for i in ("a", "b", "c")]
    catalogue = Catalogue.from_items([*items, CatalogueItem("z", "CLOCK")], tower())
    ranked = candidates(QUERY, own((0, "b", 5.0)), catalogue)[0]
    assert [(c.item_id, c.item_group_id) for c in ranked] == [("b", "lantern"), ("z", "")]


def test_an_item_of_whose_words_nothing_is_known_is_only_trending():
    catalogue = Catalogue.from_items([CatalogueItem("a", ""), CatalogueItem("b", "CLOCK")], tower())
    found = {c.item_id: c.retriever for c in candidates(QUERY, NOTHING, catalogue)[0]}
    assert found == {"a": "trending", "b": "model"}


def test_without_a_tower_the_popular_and_the_own_remain():
    catalogue = Catalogue.from_items(shop_items())
    ranked = candidates(QUERY, own((0, "00007", 1.0)), catalogue)[0]
    assert (ranked[0].item_id, ranked[0].retriever) == ("00007", "repeat")
    assert {c.retriever for c in ranked[1:]} == {"trending"}


def test_a_like_own_item_is_named_as_the_reason():
    items = [
        CatalogueItem("own", "RED GLASS LANTERN"),
        CatalogueItem("like", "BLUE GLASS LANTERN"),
        CatalogueItem("far", "CLOCK"),
    ]
    found = {
        c.item_id: c.because_item_id
        for c in candidates(QUERY, own((0, "own", 1.0)), Catalogue.from_items(items, tower()))[0]
    }
    assert found == {"own": "own", "like": "own", "far": ""}


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 12), st.integers(0, 100))
def test_a_list_does_not_depend_on_its_neighbours(batch, seed):
    queries = outputs(batch, seed)["query"]
    random = np.random.default_rng(seed)
    bought = [
        (int(random.integers(batch)), f"{int(random.integers(32)):05d}", float(random.random())) for _ in range(20)
    ]
    together = candidates(queries, own(*bought), CATALOGUE)
    for row in range(batch):
        mine = own(*[(0, item, count) for r, item, count in bought if r == row])
        assert candidates(queries[row : row + 1], mine, CATALOGUE)[0] == together[row]
