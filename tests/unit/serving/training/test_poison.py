"""Poison in the events of some customers: how far it moves what is said of others. Needs torch."""

import pytest

pytest.importorskip("torch", reason="training needs the extra `train`, which `make test` installs")

import random

import numpy as np

from serving.catalogue import Catalogue
from serving.dataset import by_customer, calendar_cutoffs, examples
from serving.evaluation.canary import CanaryBounds, Moves, canary_moves
from serving.features import tensors
from serving.history import journeys
from serving.training.bounds import Bounds, checked
from serving.training.runs import Source
from serving.training.settings import TrainingSettings
from serving.training.train import make, predictor
from stream.contracts.events import Event, Item
from stream.contracts.times import DAY_MS
from stream.profiles import codec
from stream.profiles.settings import ProfileSettings
from tests.unit.serving.recorded_shop import START, shop_events
from tests.unit.serving.small_network import SMALL, quiet

CUSTOMERS, DAYS = 120, 480
SETTINGS, BOUNDS = ProfileSettings(), CanaryBounds()
TRAINING = TrainingSettings(epochs=2, query_epochs=0, examples_per_epoch=2_000, threads=1, network=SMALL)
SHOP = shop_events(CUSTOMERS, DAYS)
END = START + DAYS * DAY_MS - 1
CANARIES = by_customer(shop_events(customers=60, days=DAYS, seed=11))
CUTOFFS = calendar_cutoffs(START + 200 * DAY_MS, END, 28)


def churn(events: list[Event]) -> np.ndarray:
    """What a model that was trained on ``events`` says of the canaries."""
    window = checked(sorted(events, key=lambda event: event.time), SETTINGS, Bounds())
    histories = by_customer(window.events)
    own = [event for each in histories.values() for event in each]
    source = Source(own, histories, journeys(own, SETTINGS), SETTINGS, set(), START, END)
    made = make(source, list(examples(histories, CUTOFFS, END, SETTINGS)), END, TRAINING, quiet)
    found = [example for example in examples(CANARIES, [END + 1], END + 1, SETTINGS) if example.trigger is None]
    catalogue = Catalogue.from_items((), made.tower, made.shop)
    profiles = [codec.decode(example.profile) for example in found]
    return predictor(made.fitted.served())(tensors(profiles, [END] * len(found), catalogue))["churn"][:, 2]


def moves(poisoned: list[Event], honest: np.ndarray) -> Moves:
    found = canary_moves(honest.astype(np.float64), churn(poisoned).astype(np.float64), BOUNDS)
    assert found is not None
    return found


def order(customer: str, day: float, price: float = 5.0) -> Event:
    items = [Item(item_id="00001", item_name="BLUE TEA CUP", price=price, quantity=1.0)]
    number = f"{customer}-{day:.3f}"
    time = START + int(day * DAY_MS)
    return Event(number, "purchase", time, customer, transaction_id=number, currency="GBP", items=items)


def flipped(share: float) -> list[Event]:
    """Labels turned round: who had stopped orders again, who ordered stops."""
    drawn = random.Random(1).sample(range(CUSTOMERS), int(share * CUSTOMERS))
    stopped, stays = ({str(each) for each in drawn if each % 2 == odd} for odd in (0, 1))
    kept = [event for event in SHOP if event.customer_id not in stays or event.time < START + 330 * DAY_MS]
    return kept + [order(customer, day) for customer in stopped for day in range(330, DAYS, 10)]


@pytest.fixture(scope="module")
def honest():
    return churn(SHOP)


def test_labels_turned_round_for_a_twentieth_of_the_customers_hardly_move_the_others(honest):
    found = moves(flipped(0.05), honest)
    assert 0 < found.mean < 0.03
    assert not found.beyond(BOUNDS)


def test_bots_that_turn_the_shops_season_round_are_stopped_by_the_canaries(honest):
    # Below every bound of the window: ten orders a day, of ordinary amounts, by a twentieth of the customers.
    bots = [order(str(each), day / 10) for each in range(0, CUSTOMERS, 20) for day in range(3_000, DAYS * 10)]
    assert moves(SHOP + bots, honest).beyond(BOUNDS)


def test_giant_orders_of_a_twentieth_of_the_customers_never_reach_the_model(honest):
    giant = [order(str(each), 300.0 + each / CUSTOMERS, price=1e6) for each in range(0, CUSTOMERS, 20)]
    assert moves(SHOP + giant, honest).mean == 0
