"""The reference is somebody real and ordinary, and stands in the season of whoever is held against it."""

import numpy as np
import pytest

from serving.catalogue import Catalogue
from serving.dataset import by_customer, examples
from serving.features import tensors
from serving.in_process import OnnxScorer
from serving.model_card import model_repository, read_model_card, version_folder, write_model_card
from serving.reference import chosen_reference, reference_profile, with_reference
from serving.shop import SHOP_FILE, read_shop
from serving.statistics import STATISTICS
from stream.contracts.times import DAY_MS
from stream.profiles.settings import ProfileSettings
from tests.unit.serving.recorded_shop import START, shop_events, shop_items

FOLDER = version_folder(model_repository())
CARD = read_model_card(FOLDER)
CUTOFF = START + 400 * DAY_MS
CATALOGUE = Catalogue.from_items(shop_items())


def chosen(customers):
    histories = by_customer(shop_events(customers))
    known = [e for e in examples(histories, [CUTOFF], CUTOFF, ProfileSettings()) if e.trigger is None]
    return chosen_reference(known, histories, CATALOGUE, "GBP"), histories


def test_the_reference_is_one_of_the_shop_s_customers_and_has_sent_nothing_back():
    reference, histories = chosen(60)
    assert reference is not None
    ago = [order.days_ago for order in reference.orders]
    alike = []
    for events in histories.values():
        past = [event for event in events if int(event.time) < CUTOFF]
        own = [(CUTOFF - 1 - int(event.time)) / DAY_MS for event in past if event.type == "purchase"]
        if len(own) == len(ago) and np.allclose(own, ago, atol=0.01):
            alike.append({event.type for event in past})
    assert len(alike) == 1
    assert "return" not in alike[0]


def test_a_shop_without_customers_like_most_has_no_reference():
    assert chosen(1)[0] is None


def test_its_silence_is_the_same_whenever_it_is_held_against_somebody():
    assert CARD.reference is not None
    shop = Catalogue.from_items((), shop=read_shop(FOLDER / SHOP_FILE))
    for month in range(0, 360, 45):
        at = START + month * DAY_MS
        stats = tensors([reference_profile(CARD.reference, at)], [at], shop)["stats"][0]
        recency = np.expm1(stats[STATISTICS.index("calendar_recency_days")])
        assert recency == pytest.approx(CARD.reference.orders[-1].days_ago, abs=0.01)


def test_the_shipped_reference_is_about_as_likely_to_leave_as_customers_are():
    assert CARD.reference is not None
    shop = Catalogue.from_items((), shop=read_shop(FOLDER / SHOP_FILE))
    at = [START + day * DAY_MS for day in range(365, 540, 7)]
    made = tensors([reference_profile(CARD.reference, each) for each in at], at, shop)
    churn = OnnxScorer(FOLDER, CARD).run(made)["churn"][:, -1].mean()
    assert churn == pytest.approx(CARD.active_base_rates["90d"], abs=0.1)


def test_a_card_keeps_its_reference(tmp_path):
    reference, _ = chosen(60)
    write_model_card(tmp_path, with_reference(CARD, reference))
    again = read_model_card(tmp_path)
    assert again.reference == reference
    assert with_reference(again, CARD.reference) == CARD
