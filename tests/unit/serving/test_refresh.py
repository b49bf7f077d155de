"""A refreshed version knows newer purchases, answers with the same network, and is never made of too little."""

import shutil

import msgspec
import numpy as np
import pytest

from serving.candidates import candidates
from serving.catalogue import Catalogue
from serving.history import journeys
from serving.item_statistics import ItemStatistics
from serving.item_tower import ITEM_DIMENSIONS
from serving.model_card import model_repository, read_model_card, version_folder
from serving.refresh import AS_OF, RefreshRefused, refresh, refreshed_shop
from serving.shop import SHOP_FILE, Shop, read_shop, write_shop
from stream.contracts.events import Event, Item
from stream.contracts.ids import item_hash
from stream.contracts.times import DAY_MS, to_epoch_ms, to_rfc3339
from stream.profiles.settings import ProfileSettings
from tests.unit.serving.recorded_shop import shop_events, shop_items
from tests.unit.serving.test_ranking import WEIGHTS, own

SETTINGS = ProfileSettings()
EVENTS = shop_events()
END = max(to_epoch_ms(event.time) for event in EVENTS)


def fashion(item_id: str, customers: int = 30) -> list[Event]:
    """A week after the end many buy one thing."""
    return [
        Event(
            f"f{n}",
            "purchase",
            END + 7 * DAY_MS,
            f"new{n}",
            transaction_id=f"f{n}",
            currency="GBP",
            items=[Item(item_id, price=1.0)],
        )
        for n in range(customers)
    ]


@pytest.fixture
def folder(tmp_path):
    """A version whose statistics are those of the recorded shop."""
    made = shutil.copytree(version_folder(model_repository()), tmp_path / "customer" / "1")
    learned = ItemStatistics.learned(journeys(EVENTS, SETTINGS), END)
    write_shop(made / SHOP_FILE, Shop.unknown()._replace(first=5, items=learned, ranking=WEIGHTS))
    return made


def test_a_new_fashion_is_recommended_after_a_refresh_and_not_before(folder):
    refresh(folder, EVENTS + fashion("00003"), SETTINGS, 2)
    newer = folder.with_name("2")

    def first(version) -> str:
        catalogue = Catalogue.from_items(shop_items(), None, read_shop(version / SHOP_FILE))
        return candidates(np.zeros((1, ITEM_DIMENSIONS), np.float32), own(), catalogue)[0][0].item_id

    assert first(folder) != first(newer) == "00003"


def test_network_tower_season_rates_and_weights_stay(folder):
    card = refresh(folder, EVENTS + fashion("00003"), SETTINGS, 7)
    newer = folder.with_name("7")
    assert all((newer / name).read_bytes() == (folder / name).read_bytes() for name in ("model.onnx", "item_tower.npz"))
    before, after = read_shop(folder / SHOP_FILE), read_shop(newer / SHOP_FILE)
    assert (before.first, before.rates) == (after.first, after.rates)
    assert np.array_equal(before.season.intensity, after.season.intensity)
    assert np.array_equal(before.ranking.new, after.ranking.new)
    former = read_model_card(folder)
    assert card == read_model_card(newer)
    assert (card.repository_version, card.version.partition(".")[2]) == ("7", former.version.partition(".")[2])
    assert card.settings[AS_OF] == to_rfc3339((END + 7 * DAY_MS) // 1000 * 1000)
    assert former.thresholds == card.thresholds
    assert AS_OF not in former.settings
    assert {path.name for path in folder.parent.iterdir()} == {"1", "7"}


def test_it_learns_as_training_does():
    shop, as_of = refreshed_shop(Shop.unknown(), EVENTS, SETTINGS)
    learned = ItemStatistics.learned(journeys(EVENTS, SETTINGS), as_of)
    assert all(np.array_equal(a, b) for a, b in zip(shop.items, learned, strict=True))


def test_too_little_is_refused_and_leaves_nothing(folder):
    for events, message in ((fashion("00003"), "1 items.* know 32"), ([], "no purchase")):
        with pytest.raises(RefreshRefused, match=message):
            refresh(folder, events, SETTINGS, 2)
    assert [path.name for path in folder.parent.iterdir()] == ["1"]


def test_a_few_of_the_customers_are_refused(folder):
    whole = [event for n in range(20) for event in shop_events(seed=n)]
    events = [msgspec.structs.replace(e, customer_id=f"{e.customer_id}-{n}") for n, e in enumerate(whole)]
    write_shop(folder / SHOP_FILE, refreshed_shop(Shop.unknown(), events, SETTINGS)[0])
    with pytest.raises(RefreshRefused, match="events of all customers"):
        refresh(folder, EVENTS, SETTINGS, 2)


def test_older_purchases_than_are_known_are_refused(folder):
    refresh(folder, EVENTS + fashion("00003"), SETTINGS, 2)
    with pytest.raises(RefreshRefused, match="newest purchase"):
        refresh(folder.with_name("2"), EVENTS, SETTINGS, 3)


def test_a_version_is_never_overwritten(folder):
    with pytest.raises(FileExistsError, match="new version"):
        refresh(folder, EVENTS, SETTINGS, 1)


def test_an_item_that_was_never_sold_before_is_known_after(folder):
    refresh(folder, EVENTS + fashion("brand new"), SETTINGS, 2)
    hashes = np.array([item_hash("brand new")], np.uint64)
    assert read_shop(folder / SHOP_FILE).items.places(hashes).tolist() == [-1]
    assert read_shop(folder.with_name("2") / SHOP_FILE).items.places(hashes)[0] >= 0
