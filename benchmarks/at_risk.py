"""Customers who will be alerted when they come back: copies of the demo's, chosen by the shipped model itself.

Each copy is moved so that it ends some weeks ago and comes under a new name. Whether it will be alerted is worked out
before with the same model, so that the load, and not the outcome, is chosen. Called by ``benchmarks.latency``.
"""

import random
from typing import Final

from msgspec.structs import replace

from serving.answers import answers
from serving.catalogue import Catalogue
from serving.features import tensors
from serving.in_process import OnnxScorer
from serving.item_tower import ITEM_TOWER_FILE, read_item_tower
from serving.shop import SHOP_FILE, read_shop
from stream.configuration.repository import open_registry
from stream.configuration.settings import Configuration
from stream.contracts.catalogue import CatalogueItem
from stream.contracts.emission import Origin, Rejected
from stream.contracts.events import Event, Item
from stream.contracts.scores import ScoreRequest
from stream.contracts.times import DAY_MS, to_epoch_ms
from stream.operations.demo_events import sample
from stream.profiles.fold import fold
from stream.profiles.profile import Profile

SILENT_DAYS: Final = (20, 75)
"""How long ago the last order of a copy was, in days: the policies alert within these."""
BATCH: Final = 64


def histories() -> tuple[dict[str, list[Event]], dict[str, CatalogueItem]]:
    """Events of each customer of the sample in order, and the products in them."""
    found: dict[str, list[Event]] = {}
    items: dict[str, CatalogueItem] = {}
    for event in sample():
        found.setdefault(event.customer_id, []).append(event)
        for item in event.items:
            items[item.item_id] = CatalogueItem(item_id=item.item_id, item_name=item.item_name)
    return found, items


def _copy(history: list[Event], name: str, end: int) -> list[Event]:
    """A history under another name, as a backfill, moved so that its last event is at ``end``."""
    shift = end - to_epoch_ms(history[-1].time)
    return [
        replace(
            event,
            event_id=f"{name}-{number}",
            customer_id=name,
            time=to_epoch_ms(event.time) + shift,
            mode="backfill",
            simulated=True,
        )
        for number, event in enumerate(history)
    ]


def return_visit(name: str, now: int) -> list[Event]:
    """Something is put into the cart, and the cart is emptied: a score is asked for at once."""
    cart = Event(
        event_id=f"{name}-cart",
        type="cart",
        time=now,
        customer_id=name,
        items=[Item(item_id="85123A", quantity=1)],
        action="add",
        simulated=True,
    )
    return [cart, replace(cart, event_id=f"{name}-clear", time=now + 1, items=[], action="clear")]


def at_risk(
    configuration: Configuration,
    known: dict[str, list[Event]],
    items: dict[str, CatalogueItem],
    now: int,
    wanted: int,
) -> list[list[Event]]:
    """Copies whose score will be above the threshold when they come back."""
    _, folder, card = open_registry(configuration).default()
    scorer = OnnxScorer(folder, card)
    catalogue = Catalogue.from_items(
        items.values(), read_item_tower(folder / ITEM_TOWER_FILE), read_shop(folder / SHOP_FILE)
    )
    policies = configuration.policies.in_force(card)
    threshold = max(rule.raise_threshold for rule in policies.rules.values()) + 0.02
    draw = random.Random(1)
    chosen: list[list[Event]] = []
    number = 0
    while len(chosen) < wanted and number < 40 * wanted:
        batch: list[tuple[list[Event], Profile]] = []
        while len(batch) < BATCH:
            number += 1
            history = known[draw.choice(list(known))]
            name = f"r{number}"
            copy = _copy(history, name, now - int(draw.uniform(*SILENT_DAYS) * DAY_MS))
            batch.append((copy, _folded(configuration, [*copy, *return_visit(name, now)])))
        profiles = [profile for _, profile in batch]
        requests = [ScoreRequest(kind="score", customer_id=p.customer_id, as_of=now + 1) for p in profiles]
        outputs = scorer.run(tensors(profiles, [now + 1] * len(profiles), catalogue))
        for (copy, _), answer in zip(batch, answers(outputs, profiles, requests, catalogue, card.stamp), strict=True):
            if answer.churn[policies.horizon] >= threshold:
                chosen.append(copy)
    return chosen[:wanted]


def _folded(configuration: Configuration, events: list[Event]) -> Profile:
    profile: Profile | None = None
    for event in events:
        try:
            profile = fold(profile, event, to_epoch_ms(event.time), Origin("", 0, 0), configuration.profiles).profile
        except Rejected:
            continue
    assert profile is not None
    return profile
