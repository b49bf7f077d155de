import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.catalogue import Catalogue
from serving.features import EVENT_CODES, FEATURE_SCHEMA, FEATURES, HISTORY, tensors
from serving.histories import read_interactions, read_own_items
from serving.scorer import NUMPY_TYPES
from serving.statistics import STATISTICS
from serving.tokens import name_tokens
from stream.contracts.emission import Origin
from stream.contracts.events import Event, Item
from stream.contracts.times import DAY_MS, HOUR_MS
from stream.profiles import rings
from stream.profiles.fold import fold
from stream.profiles.profile import Profile
from stream.profiles.settings import ProfileSettings
from stream.profiles.statistics import decayed_count, decayed_revenue
from tests.unit.serving.recorded_shop import ITEMS, START, shop_events, shop_items

SETTINGS = ProfileSettings()
CATALOGUE = Catalogue.from_items(shop_items())


def folded(events: list[Event]) -> Profile:
    profile = None
    for offset, event in enumerate(events):
        profile = fold(profile, event, int(event.time), Origin("events", 0, offset), SETTINGS).profile
    assert profile is not None
    return profile


def profiles(seed: int = 7, customers: int = 12) -> list[Profile]:
    own: dict[str, list[Event]] = {}
    for event in shop_events(customers, seed=seed):
        own.setdefault(event.customer_id, []).append(event)
    return [folded(events) for events in own.values()]


def column(made: dict[str, np.ndarray], name: str) -> np.ndarray:
    return made["stats"][:, STATISTICS.index(name)]


def test_the_schema_changes_only_on_purpose():
    # The shipped model holds this value: with another one it must be trained again.
    from serving.model_card import model_repository, read_model_card, version_folder

    assert read_model_card(version_folder(model_repository())).feature_schema == FEATURE_SCHEMA
    assert len(FEATURE_SCHEMA) == 16


def test_names_shapes_and_types_are_those_announced():
    made = tensors(profiles(customers=3), [START + 600 * DAY_MS] * 3, CATALOGUE)
    assert list(made) == [spec.name for spec in FEATURES]
    for spec in FEATURES:
        assert made[spec.name].shape == (3, *spec.shape)
        assert made[spec.name].dtype == NUMPY_TYPES[spec.dtype]
        assert made[spec.name].flags.c_contiguous


def test_an_empty_batch_and_an_empty_profile_give_finite_tensors():
    assert tensors([], [], CATALOGUE)["stats"].shape == (0, len(STATISTICS))
    made = tensors([Profile(customer_id="new")], [START], CATALOGUE)
    assert all(np.isfinite(array).all() for array in made.values())
    assert not made["history_events"].any()


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 1_000))
def test_a_row_does_not_depend_on_its_neighbours(seed, days):
    found = profiles(seed, customers=4)
    moments = [p.last_time + days * DAY_MS for p in found]
    together = tensors(found, moments, CATALOGUE)
    for i, (profile, moment) in enumerate(zip(found, moments, strict=True)):
        alone = tensors([profile], [moment], CATALOGUE)
        assert all(np.array_equal(together[name][i], alone[name][0]) for name in together)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 2_000))
def test_everything_fits_into_fp16(seed, days):
    found = profiles(seed, customers=4)
    made = tensors(found, [p.last_time + days * DAY_MS for p in found], CATALOGUE)
    for spec in FEATURES:
        if spec.dtype == "FP32":
            assert np.abs(made[spec.name]).max() <= 16


def test_a_history_is_right_aligned_with_its_items_words():
    lines = [Item("00001", price=2.0, quantity=3.0), Item("00009", price=4.0)]
    profile = folded(
        [
            Event("1", "purchase", START, "c", items=lines),
            Event("2", "browse", START + DAY_MS, "c", items=[Item("unknown", price=9.0)]),
            Event("3", "return", START + 2 * DAY_MS, "c", items=[Item("zzz", price=4.0)]),
        ]
    )
    made = tensors([profile], [START + 3 * DAY_MS], CATALOGUE)
    kinds = [EVENT_CODES[code - 1] for code in made["history_events"][0][-4:]]
    assert kinds == ["purchase", "purchase", "browse", "return"]
    assert not made["history_events"][0][:-4].any()
    words = {tuple(row) for row in made["history_tokens"][0][-4:-2].tolist()}
    assert words == {name_tokens(item.item_name) for item in shop_items() if item.item_id in {"00001", "00009"}}
    assert not made["history_tokens"][0][-2:].any()
    amounts = np.expm1(np.abs(made["history_values"][0, -4:]))
    assert sorted(amounts[:2]) == pytest.approx([4, 6], rel=1e-3)
    assert made["history_values"][0, -1] < 0 < made["history_values"][0, -2]


def test_a_history_is_the_same_whenever_it_is_asked_for():
    early, late = (tensors(profiles(), [START + days * DAY_MS] * 12, CATALOGUE) for days in (600, 700))
    for spec in FEATURES:
        assert np.array_equal(early[spec.name], late[spec.name]) == spec.name.startswith("history_")


def test_a_new_item_has_words_as_soon_as_the_catalogue_names_it():
    profile = folded([Event("1", "purchase", START, "c", items=[Item("new", price=1.0)])])
    assert not tensors([profile], [START], CATALOGUE)["history_tokens"].any()
    from stream.contracts.catalogue import CatalogueItem

    named = CATALOGUE.with_item(CatalogueItem("new", "RED LANTERN"))
    assert tensors([profile], [START], named)["history_tokens"][0, -1].tolist() == list(name_tokens("RED LANTERN"))


def test_packed_interactions_are_read_as_the_rings_reader_reads_them():
    found = profiles()
    seen = read_interactions(found)
    for row, profile in enumerate(found):
        one_by_one = rings.interactions(profile)
        own = np.flatnonzero(seen.row == row)
        assert [int(h) for h in seen.item[own]] == [i.item_hash for i in one_by_one]
        assert seen.time[own].tolist() == [i.time for i in one_by_one]
        assert seen.quantity[own].tolist() == [i.quantity for i in one_by_one]
        assert seen.price[own].tolist() == [i.price for i in one_by_one]
        assert [EVENT_CODES[code - 1] for code in seen.code[own]] == [i.type for i in one_by_one]
        assert seen.column[own].tolist() == list(range(HISTORY - len(own), HISTORY))


def test_own_items_add_up_to_the_rings_top_items():
    found = profiles()
    at = START + 600 * DAY_MS
    own = read_own_items(found, np.full(len(found), at, np.int64), read_interactions(found))
    for row, profile in enumerate(found):
        counted: dict[int, float] = {}
        for item, count in zip(own.item[own.row == row], own.lines[own.row == row], strict=True):
            counted[int(item)] = counted.get(int(item), 0.0) + float(count)
        expected = {top.item_hash: top.decayed_count for top in rings.top_items(profile, at)}
        assert len(expected) <= ITEMS
        assert counted == pytest.approx(expected, rel=1e-9)


def test_decayed_statistics_are_those_of_the_profile():
    found = profiles()
    moments = [p.last_time + 13 * DAY_MS + 5 * HOUR_MS for p in found]
    made = tensors(found, moments, CATALOGUE)
    for row, (profile, at) in enumerate(zip(found, moments, strict=True)):
        purchases, revenue = decayed_count(profile, "purchase", at), decayed_revenue(profile, at)
        assert np.expm1(column(made, "purchases_30d")[row]) == pytest.approx(purchases.month, rel=1e-4)
        assert np.expm1(column(made, "purchases_90d")[row]) == pytest.approx(purchases.quarter, rel=1e-4)
        amount = column(made, "amount_7d")[row]
        assert np.sign(amount) * np.expm1(np.abs(amount)) == pytest.approx(revenue.week, rel=1e-3, abs=1e-4)


def test_statistics_mean_what_their_names_say():
    profile = folded(
        [
            Event("1", "purchase", START, "c", transaction_id="1", items=[Item("a", price=10.0)]),
            Event("2", "purchase", START + 20 * DAY_MS, "c", transaction_id="2", items=[Item("b", price=30.0)]),
        ]
    )
    made = tensors([profile], [START + 30 * DAY_MS], CATALOGUE)
    value = {name: float(made["stats"][0, i]) for i, name in enumerate(STATISTICS)}
    assert np.expm1(value["recency_days"]) == pytest.approx(10, rel=1e-4)
    assert np.expm1(value["tenure_days"]) == pytest.approx(30, rel=1e-4)
    assert np.expm1(value["baskets"]) == pytest.approx(2, rel=1e-4)
    assert np.expm1(value["mean_gap_days"]) == pytest.approx(20, rel=1e-4)
    assert np.expm1(value["revenue"]) == pytest.approx(40, rel=1e-4)
    assert np.expm1(value["mean_basket"]) == pytest.approx(20, rel=1e-4)
    assert np.expm1(value["revenue_365d"]) == pytest.approx(40, rel=1e-4)
    assert np.expm1(value["basket_0"]) == pytest.approx(30, rel=1e-4)
    assert value["silence_in_gaps"] == pytest.approx(np.log(11 / 21), rel=1e-4)
    assert value["one_basket"] == 0.0
