"""Whether the reasons of alerts are right: two figures, each of at least 100 alerts, on customers whom no model saw.

    python -m benchmarks.reasons [EVENTS]

Histories are the shipped sample's unless files are given, with simulated visits, carts and reviews around the orders.
Questions are answered by the shipped model through the stage that explains alerts live, and decided by the fold; only
Kafka and Triton are left out.

*moved*: the first group that speaks for churn is put to the reference's; does the score go down? *planted*: one thing
is done to a customer (the cart emptied an hour ago, a review of one star yesterday, silence of two to six own gaps
where after one gap there was no alert); is it the alert's first reason? Beside it stand how often the
model alone says so, and how often an alert of the same customers says so where nothing was planted.
"""

import argparse
import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Final, NamedTuple

import msgspec
import numpy as np
from msgspec.structs import replace

from benchmarks.cluster import SHIPPED
from serving.attribution import CODES, explanation
from serving.catalogue import Catalogue
from serving.dataset import by_customer, customer_examples
from serving.features import tensors
from serving.history import read_events
from serving.in_process import OnnxScorer
from serving.item_tower import ITEM_TOWER_FILE, read_item_tower
from serving.model_card import HORIZONS, ReferenceCustomer, model_repository, read_model_card, version_folder
from serving.reference import reference_profile
from serving.shop import SHOP_FILE, read_shop
from stream.configuration.load import load
from stream.contracts import topics
from stream.contracts.alerts import Alert, AlertEvent
from stream.contracts.emission import Origin
from stream.contracts.events import Event, Item, Review
from stream.contracts.scores import Answer, ScoreRequest
from stream.contracts.times import DAY_MS, HOUR_MS, to_epoch_ms
from stream.decisions.budget import Budget
from stream.decisions.decide import decide
from stream.decisions.deployment import Deployment
from stream.decisions.policies import KINDS, PoliciesInForce
from stream.operations.demo_events import SEED, sample
from stream.operations.simulate import around
from stream.profiles import codec
from stream.profiles.profile import Profile
from stream.profiles.settings import ProfileSettings
from stream.workers.decisions import Question
from stream.workers.explaining import Explainer
from stream.workers.models import OneModel
from stream.workers.scoring import ScoringStage

FIRST, LAST, STEP_DAYS = datetime(2010, 12, 1, tzinfo=UTC), datetime(2011, 6, 1, tzinfo=UTC), 14
WANTED: Final = 200
"""Alerts of each kind of cause, at the most."""
GAPS: Final = (2.0, 3.0, 4.0, 6.0)
LEAST_BASKETS: Final = 3
PATIENCE_MS: Final = 60_000
SETTINGS: Final = ProfileSettings()


class Told(NamedTuple):
    """An alert, what the model said, and of whom."""

    alert: Alert
    answer: Answer
    profile: Profile
    at: int


class Bench:
    """The shipped model and policies."""

    def __init__(self) -> None:
        folder = version_folder(model_repository())
        card = read_model_card(folder)
        assert card.reference is not None, "the shipped model has no reference customer"
        configuration = load(SHIPPED, {}).configuration
        self.reference: ReferenceCustomer = card.reference
        self.policies: PoliciesInForce = configuration.policies.in_force(card)
        self.scorer = OnnxScorer(folder, card)
        self.catalogue = Catalogue.from_items(
            (), read_item_tower(folder / ITEM_TOWER_FILE), read_shop(folder / SHOP_FILE)
        )
        self.took_ms: list[float] = []
        self.rows: list[int] = []
        triton = replace(
            configuration.triton, deadline_ms=PATIENCE_MS, reasons_deadline_ms=PATIENCE_MS, scorer="in_process"
        )
        self._stage = ScoringStage(
            OneModel(self.scorer, lambda: self.catalogue, card.reference),
            triton,
            card.currency,
            Explainer(lambda version, as_of: self.policies, triton),
        )
        self._loop = asyncio.new_event_loop()

    def asks(self, events: Sequence[Event], at: int) -> Told | None:
        """The alert that a customer with this history would have at ``at``; None: there would be none."""
        past = [event for event in events if to_epoch_ms(event.time) < at]
        example = next((e for e in customer_examples(past, [at], at, SETTINGS) if e.trigger is None), None)
        if example is None:
            return None
        profile = codec.decode(example.profile)
        request = ScoreRequest("score", "r", example.customer_id, example.as_of)
        question = Question(request, profile, int(time.time() * 1000), frozenset(KINDS))
        (answer,) = self._loop.run_until_complete(self._stage.run([question]))
        origin, deployment = Origin(topics.SCORE_REQUESTS, 0, 0), Deployment(secret=b"benchmark")
        _, outputs = decide(None, request, origin, answer, profile, Budget(), self.policies, deployment)
        for output in outputs:
            if output.topic in (topics.ALERTS, topics.ALERTS_HOLDOUT) and output.value is not None:
                return Told(msgspec.json.decode(output.value, type=AlertEvent).data, answer, profile, example.as_of)
        return None

    def follows(self, told: Told) -> bool:
        """Whether the score goes down when the first group of the model's reasons is put to the reference's."""
        both = tensors([told.profile, reference_profile(self.reference, told.at)], [told.at] * 2, self.catalogue)
        own, reference = ({name: array[row : row + 1] for name, array in both.items()} for row in (0, 1))
        began = time.perf_counter()
        explained = explanation(own, reference, told.at, self.catalogue.shop)
        raw = self.scorer.run(explained.tensors)["raw_churn"][:, HORIZONS.index(self.policies.horizon)]
        self.took_ms.append((time.perf_counter() - began) * 1000)
        self.rows.append(explained.rows)
        top = told.answer.reasons[0]
        bit = explained.players.index(CODES.index(top.code))
        moved = float(raw[-1]) - float(raw[(explained.rows - 1) ^ (1 << bit)])
        return bool(np.sign(moved) == np.sign(top.contribution))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("events", nargs="*", type=Path, help="canonical events; the shipped sample unless given")
    paths = parser.parse_args().events
    recorded = sorted(read_events(paths, SETTINGS), key=lambda e: to_epoch_ms(e.time)) if paths else list(sample())
    histories = by_customer(around(recorded, SEED))
    bench = Bench()
    moments = range(to_epoch_ms(FIRST), to_epoch_ms(LAST), STEP_DAYS * DAY_MS)
    cases = [(customer, at) for customer in sorted(histories) for at in moments]
    Random(SEED).shuffle(cases)
    alerts = _told((bench.asks(histories[customer], at) for customer, at in cases), WANTED)
    by_model = [told for told in alerts if told.answer.reasons]
    follow = sum(bench.follows(told) for told in by_model)
    print(f"moved: the score follows the top group in {_share(follow, len(by_model))}")
    print(f"  of {len(alerts)} alerts the first reason is {_counts(told.alert.reasons[0].code for told in alerts)}")
    print(f"  rows a call: mean {np.mean(bench.rows):.0f}, most {max(bench.rows)}; ms {np.mean(bench.took_ms):.0f}")
    for cause, plant in (("cart_emptied", _emptied_cart), ("negative_review", _bad_review)):
        same = [(histories[told.alert.customer_id], told.at + 1) for told in alerts]
        _print_planted(cause, [bench.asks(plant(own, at), at) for own, at in same], alerts)
    _print_planted("silence", _silent(bench, histories), alerts)


def _told(asked: Iterable[Told | None], wanted: int) -> list[Told]:
    found: list[Told] = []
    for told in asked:
        if told is not None:
            found.append(told)
            if len(found) == wanted:
                break
    return found


def _emptied_cart(events: Sequence[Event], at: int) -> list[Event]:
    item = next(item for event in events if event.type == "purchase" for item in event.items)
    who = events[0].customer_id
    put = Event("p1", "cart", at - 2 * HOUR_MS, who, items=[Item(item.item_id, quantity=1, price=2.0)], action="add")
    return [*_before(events, at), put, replace(put, event_id="p2", time=at - HOUR_MS, items=[], action="clear")]


def _bad_review(events: Sequence[Event], at: int) -> list[Event]:
    item = next(item for event in events if event.type == "purchase" for item in event.items)
    who = events[0].customer_id
    review = Event("p1", "review", at - DAY_MS, who, items=[Item(item.item_id)], review=Review(rating=1.0))
    return sorted([*_before(events, at), review], key=lambda event: to_epoch_ms(event.time))


def _before(events: Sequence[Event], at: int) -> list[Event]:
    return [event for event in events if to_epoch_ms(event.time) < at]


def _silent(bench: Bench, histories: dict[str, list[Event]]) -> list[Told | None]:
    """Alerts of those who fall silent for two own gaps and more, and had none after one, though it would have been
    time."""
    rules = bench.policies.rules["churn_risk"]
    cases: list[tuple[list[Event], list[int]]] = []
    for events in histories.values():
        orders = sorted({to_epoch_ms(e.time) // DAY_MS for e in events if e.type == "purchase"})
        for number in range(LEAST_BASKETS, len(orders) + 1):
            gap = (orders[number - 1] - orders[0]) / (number - 1)
            last = (orders[number - 1] + 1) * DAY_MS
            days = [max(gap, rules.silent_from_days + 1), *(gaps * gap for gaps in GAPS)]
            if days[0] < days[1] < rules.silent_until_days:
                within = [each for each in days if each < rules.silent_until_days]
                cases.append((_before(events, last), [last + int(each * DAY_MS) for each in within]))
    Random(SEED).shuffle(cases)
    return list(_told((_first_after(bench, own, moments) for own, moments in cases), WANTED))


def _first_after(bench: Bench, events: Sequence[Event], moments: Sequence[int]) -> Told | None:
    """The first alert at one of the moments, where there is none at the first of them."""
    if bench.asks(events, moments[0]) is not None:
        return None
    return next((told for at in moments[1:] if (told := bench.asks(events, at)) is not None), None)


def _print_planted(cause: str, planted: Sequence[Told | None], alerts: Sequence[Told]) -> None:
    is_it: Callable[[str], bool] = lambda code: code == cause or (cause == "silence" and code == "silence_vs_rhythm")  # noqa: E731
    raised = [told for told in planted if told is not None]
    shown = sum(is_it(told.alert.reasons[0].code) for told in raised)
    group = {"cart_emptied": "cart", "negative_review": "opinion"}.get(cause, cause)
    by_model = sum(bool(told.answer.reasons) and told.answer.reasons[0].code == group for told in raised)
    without = sum(is_it(told.alert.reasons[0].code) for told in alerts)
    print(f"planted {cause}: first reason of {_share(shown, len(raised))} alerts")
    print(f"  by the model alone {_share(by_model, len(raised))}; not planted {_share(without, len(alerts))}")
    print(f"  methods {_counts(told.alert.reasons_method for told in raised)}")
    print(f"  first reasons {_counts(told.alert.reasons[0].code for told in raised)}")


def _share(part: int, whole: int) -> str:
    return f"{part} of {whole} ({part / max(whole, 1):.0%})"


def _counts(values: Iterable[str]) -> str:
    return ", ".join(f"{value} {count}" for value, count in Counter(values).most_common())


if __name__ == "__main__":
    main()
