"""What alerts are worth on customers and in months that the model was not trained on: the tables of docs/model.md.

    python -m benchmarks.held_out_alerts EVENTS FOLDER [--folds 4] [--until DAY ...]

Needs the extra `train`. For each group of customers and each day a network is trained on the other customers' events
before that day and exported into FOLDER, where a later run finds it; then the group's events after that day are folded,
scored and decided as live by ``stream.operations.evaluate_alerts``. This module trains and adds up; it measures nothing
itself.
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import torch
from msgspec.structs import replace

from serving.catalogue import Catalogue
from serving.dataset import by_customer, calendar_cutoffs, examples
from serving.evaluation.alerts import AlertWorth, alert_worth
from serving.evaluation.episodes import FiredAlert
from serving.evaluation.predictions import predict_at
from serving.evaluation.score_levels import score_levels
from serving.export import export
from serving.history import journeys, read_events
from serving.holdout import is_demo_customer
from serving.in_process import OnnxScorer
from serving.item_tower import ITEM_TOWER_FILE, read_item_tower
from serving.model_card import MODEL_NAME, read_model_card, write_model_card
from serving.shop import SHOP_FILE, read_shop
from serving.training.runs import Source, card_of
from serving.training.settings import TrainingSettings
from serving.training.train import EVALUATION_DAYS, FIRST_CUTOFF_DAYS, make, measure, said_by
from stream.configuration.load import load
from stream.contracts.events import Event
from stream.contracts.times import DAY_MS, to_epoch_ms, to_rfc3339
from stream.decisions.policies import Policies
from stream.operations.evaluate_alerts import ModelInForce, purchase_times, raised
from stream.profiles.settings import ProfileSettings

UNTIL: Final = ("2010-10-14", "2010-12-09", "2011-01-13")
"""A network answers from its day until the next one's, the last until alerts cannot be judged any more: never for more
than eight weeks."""

SETTINGS: Final = TrainingSettings(threads=1, query_epochs=0)
"""As shipped, but for the query of the ranking, which no alert reads."""

BUDGET: Final = {"churn_risk": 0.2, "second_purchase": 0.5}
"""Shares that are near to those of the fixed thresholds on the first day."""

VALUE: Final = 50.0
"""Pounds at risk, for the table of a policy that asks for some."""

LEVELS_DAYS: Final = 14
"""How old levels of scores get where they are made anew between two networks."""

PROFILES: Final = ProfileSettings()


def group_of(customer_id: str, folds: int) -> int:
    """Which group of customers somebody is in, 0 to ``folds`` - 1."""
    return int.from_bytes(hashlib.sha256(f"fold:{customer_id}".encode()).digest()[:8], "big") % folds


def train_without(
    histories: dict[str, list[Event]],
    unseen: set[str],
    path: Path,
    until: int,
    repository: Path,
) -> None:
    """Export into ``repository`` a model that knows nothing of ``unseen``, nor of anybody from ``until`` (epoch
    milliseconds) on."""
    own = {
        customer: past
        for customer, events in histories.items()
        if customer not in unseen and (past := [event for event in events if to_epoch_ms(event.time) < until])
    }
    events = [event for past in own.values() for event in past]
    first = min(to_epoch_ms(event.time) for event in events)
    source = Source(events, own, journeys(events, PROFILES), PROFILES, unseen, first, until - 1)
    cutoffs = calendar_cutoffs(first + FIRST_CUTOFF_DAYS * DAY_MS, until - 1, SETTINGS.calendar_step_days)
    found = [e for e in examples(own, cutoffs, until - 1, PROFILES) if e.as_of > cutoffs[0]]
    # The card's thresholds and figures are those of an earlier network, as in `tidemark train`.
    earlier = make(source, found, until - 1 - EVALUATION_DAYS[0] * DAY_MS, SETTINGS, _quiet)
    measured = measure(earlier, source, PROFILES, SETTINGS.alert_budget_share)
    made = make(source, found, until - 1, SETTINGS, _quiet)
    levels = score_levels(said_by(made, source, PROFILES), source.journeys)
    card = card_of([path], source, made, [measured], SETTINGS, (), levels)
    export(made.fitted.served(), made.tower, made.shop, card, repository)


def with_levels_of(day: int, model: ModelInForce, seen: dict[str, list[Event]]) -> ModelInForce:
    """The same network from ``day`` on (epoch milliseconds), with the levels of scores that customers it knows have
    then."""
    folder = model.folder.parent / f"levels-of-{to_rfc3339(day)[:10]}"
    if not folder.exists():
        shutil.copytree(model.folder, folder)
        card = read_model_card(folder)
        bought = journeys((event for own in seen.values() for event in own), PROFILES)
        empty = Catalogue.from_items((), read_item_tower(folder / ITEM_TOWER_FILE), read_shop(folder / SHOP_FILE))
        said = predict_at(seen, bought, day, empty, OnnxScorer(folder, card).run, PROFILES)
        write_model_card(folder, replace(card, score_levels=score_levels(said, bought)))
    return ModelInForce(day, folder)


def _quiet(what: str, done: int, of: int) -> None:
    """Training reports every step; here one network a line is told."""


class Shop(NamedTuple):
    """What alerts are judged by."""

    histories: dict[str, list[Event]]
    purchases: dict[str, list[int]]
    end: int


def alerts_of(
    shop: Shop, groups: Sequence[set[str]], models: Sequence[Sequence[ModelInForce]], policies: Policies
) -> list[FiredAlert]:
    """All alerts of all groups, each scored by the networks that do not know it."""
    found: list[FiredAlert] = []
    for unseen, own in zip(groups, models, strict=True):
        histories = {customer: shop.histories[customer] for customer in unseen}
        found += raised(histories, own, shop.end, PROFILES, policies)
    return found


def judged(shop: Shop, alerts: Sequence[FiredAlert], horizon_days: int, since: int, until: int) -> AlertWorth:
    """What those of ``alerts`` were worth that were raised from ``since`` until before ``until`` (epoch
    milliseconds)."""
    within = [alert for alert in alerts if since <= alert.as_of < until]
    return alert_worth(within, shop.purchases, horizon_days, shop.end, window=(since, until - 1))


def row(name: str, worth: AlertWorth) -> str:
    """A line of the table in docs/model.md."""
    lead = worth.lead_days
    return (
        f"| {name} | {worth.counted:,} | {worth.precision:.3f} | {worth.base_rate:.3f} | {worth.lift:.2f} "
        f"({worth.lift_interval.low:.2f} … {worth.lift_interval.high:.2f}) | {worth.recall:.3f} | "
        f"{worth.per_1000_a_week:.1f} | {lead.median:+.0f} ({lead.low:+.0f} … {lead.high:+.0f}) | "
        f"{worth.rule_precision:.3f} | {worth.difference.low:+.3f} … {worth.difference.high:+.3f} |"
    )


def by_budget(policies: Policies, value: float = 0.0) -> Policies:
    """The same with thresholds that a share of active customers reaches, and so much at risk at least."""
    return replace(
        policies,
        **{
            kind: replace(
                getattr(policies, kind),
                raise_threshold=None,
                resolve_threshold=None,
                raise_share=share,
                raise_value=value,
            )
            for kind, share in BUDGET.items()
        },
    )


def months(
    shop: Shop, alerts: Sequence[FiredAlert], horizon_days: int, days: Sequence[int], last: int
) -> Iterator[str]:
    """A line for each network's time."""
    for since, until in zip(days, [*days[1:], last], strict=True):
        worth = judged(shop, alerts, horizon_days, since, until)
        yield row(f"{to_rfc3339(since)[:10]} to {to_rfc3339(until)[:10]}", worth)


HEAD: Final = (
    "| | alerts | precision | base rate | lift, 95 % | recall | per 1,000 active and week | lead in days, quartiles | "
    "the rule at as many | difference, 95 % |\n|" + " --- |" * 10
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Train what FOLDER lacks, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("events", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--folds", type=int, default=4)
    parser.add_argument("--until", action="append", metavar="DAY")
    asked = parser.parse_args(arguments)
    torch.set_num_threads(SETTINGS.threads)
    histories = by_customer(read_events([asked.events], PROFILES))
    groups = [{c for c in histories if group_of(c, asked.folds) == group} for group in range(asked.folds)]
    days = [_moment(day) for day in asked.until or UNTIL]
    models: list[list[ModelInForce]] = [[] for _ in groups]
    for until in days:
        for group, unseen in enumerate(groups):
            repository = asked.folder / f"without-{group}-of-{asked.folds}-until-{to_rfc3339(until)[:10]}"
            folder = repository / MODEL_NAME / "1"
            if not folder.exists():
                train_without(histories, unseen, asked.events, until, repository)
            models[group].append(ModelInForce(until, folder))
            print(f"{repository}: {len(unseen)} customers unseen", flush=True)
    purchases = purchase_times(histories, PROFILES)
    end = (max(times[-1] for times in purchases.values()) // DAY_MS + 1) * DAY_MS - 1
    shop = Shop(histories, purchases, end)
    policies = load(Path("tidemark.toml"), {}, None).configuration.policies
    horizon = policies.horizon_days
    last = end + 1 - horizon * DAY_MS
    alerts = alerts_of(shop, groups, models, policies)
    print(f"\n{HEAD}")
    for kind in ("all", *sorted({alert.kind for alert in alerts})):
        own = [alert for alert in alerts if kind in ("all", alert.kind)]
        print(row(kind.replace("_", " "), judged(shop, own, horizon, days[0], last)), flush=True)
    print("\n".join(months(shop, alerts, horizon, days, last)), flush=True)
    demo = [alert for alert in alerts if is_demo_customer(alert.customer_id)]
    of_demo = {customer: times for customer, times in purchases.items() if is_demo_customer(customer)}
    print(row("the demo's customers alone", judged(shop._replace(purchases=of_demo), demo, horizon, days[0], last)))
    fresh = [
        _with_fresh_levels(own, {c: histories[c] for c in histories if c not in unseen}, [*days, last])
        for own, unseen in zip(models, groups, strict=True)
    ]
    for line in standing(fresh, policies):
        print(line)
    for name, variant, scored_by in (
        ("by share", by_budget(policies), models),
        ("by share, levels of the last two weeks", by_budget(policies), fresh),
        (f"the same, and {VALUE:g} at risk", by_budget(policies, VALUE), fresh),
    ):
        alerts = alerts_of(shop, groups, scored_by, variant)
        print(row(name, judged(shop, alerts, horizon, days[0], last)))
        print("\n".join(months(shop, alerts, horizon, days, last)), flush=True)


def standing(models: Sequence[Sequence[ModelInForce]], policies: Policies) -> Iterator[str]:
    """For each day with levels: shares of active customers at the fixed thresholds or above, in the mean of the
    groups."""
    for same_day in zip(*models, strict=True):
        cards = [read_model_card(model.folder) for model in same_day]
        shares = []
        for rhythm, rule in ((True, policies.churn_risk), (False, policies.second_purchase)):
            own = [levels for card in cards for levels in card.score_levels if levels.rhythm == rhythm]
            of_horizon = [levels for levels in own if levels.horizon == f"{policies.horizon_days}d"]
            # Scores fall as shares rise, and interpolation wants them rising.
            shares.append(
                np.mean([np.interp(rule.raise_threshold or 0.0, e.raise_at[::-1], e.shares[::-1]) for e in of_horizon])
            )
        day = to_rfc3339(same_day[0].since)[:10]
        yield f"{day}: {shares[0]:.2f} with a rhythm and {shares[1]:.2f} of the others stand at the fixed thresholds"


def _with_fresh_levels(
    models: Sequence[ModelInForce], seen: dict[str, list[Event]], days: Sequence[int]
) -> list[ModelInForce]:
    """Each network again and again until the next of ``days``."""
    found: list[ModelInForce] = []
    for model, following in zip(models, days[1:], strict=True):
        later = range(model.since + LEVELS_DAYS * DAY_MS, following, LEVELS_DAYS * DAY_MS)
        found += [model, *(with_levels_of(day, model, seen) for day in later)]
    return found


def _moment(day: str) -> int:
    return to_epoch_ms(datetime.fromisoformat(day).replace(tzinfo=UTC))


if __name__ == "__main__":
    main()
