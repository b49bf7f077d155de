"""The reference customer of a model: whom a score is held against when it is asked what moved it.

One representative customer's orders, told by how long ago they were, so that the reference stands in the same season as
whoever is held against it: it is folded anew for every moment, by the code that folds live events. Kept in the model's
card; chosen by training, or by ``python -m serving.reference`` for a model that has none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final

import numpy as np
import typer

from serving.catalogue import Catalogue
from serving.dataset import Example, by_customer, customer_examples
from serving.features import tensors
from serving.history import read_events
from serving.model_card import (
    ModelCard,
    ReferenceCustomer,
    ReferenceLine,
    ReferenceOrder,
    model_repository,
    read_model_card,
    write_model_card,
)
from serving.registry import Registry
from serving.shop import SHOP_FILE, read_shop
from serving.statistics import STATISTICS
from stream.contracts.emission import Origin
from stream.contracts.events import Event, Item
from stream.contracts.times import DAY_MS, to_epoch_ms
from stream.profiles import codec
from stream.profiles.fold import fold
from stream.profiles.profile import Profile
from stream.profiles.settings import ProfileSettings

_ACTIVE_DAYS: Final = 90
_MOST_ORDERS: Final = 12
_MOST_LINES: Final = 150
"""Of a customer who is to fit into a card."""

_BUYS_AGAIN: Final = 2
_TYPICAL: Final = {"recency_days": 3.0, "silence_in_gaps": 3.0} | dict.fromkeys(
    (
        *("tenure_days", "baskets", "mean_gap_days", "baskets_within_365d", "revenue_365d", "mean_basket"),
        *("lines_a_basket", "distinct_share", "unit_price", "units"),
    ),
    1.0,
)
"""Statistics by which a customer is near to the middle of all, and what each weighs. Most of all its silence has to be
ordinary: others are to be more or less silent than the reference."""


def reference_profile(reference: ReferenceCustomer, at: int) -> Profile:
    """The reference as it would be at ``at`` (epoch milliseconds), had its orders come as long before as they did."""
    settings = ProfileSettings(currency=reference.currency)
    profile: Profile | None = None
    for number, order in enumerate(reference.orders):
        time = at - round(order.days_ago * DAY_MS)
        event = Event(
            event_id=f"reference-{number}",
            type="purchase",
            time=time,
            customer_id="reference",
            transaction_id=f"reference-{number}",
            items=[Item(item_id=line.item_id, quantity=line.quantity, price=line.price) for line in order.lines],
            mode="backfill",
        )
        profile = fold(profile, event, time, Origin("reference", 0, number), settings).profile
    if profile is None:
        raise ValueError("the reference customer of the model's card has no orders")
    return profile


def chosen_reference(
    examples: Sequence[Example], histories: Mapping[str, Sequence[Event]], catalogue: Catalogue, currency: str
) -> ReferenceCustomer | None:
    """The customer in the middle: of those who bought lately, twice and more, and sent nothing back, the one whose
    statistics are nearest to the median of all who bought lately, in units of their deviation.

    Args:
        examples: what was known of everybody at one moment.
        histories: events by customer, each ascending in time.
        catalogue: knows the shop.
        currency: of the profiles' amounts.

    Returns:
        None where nobody is like that, as in a shop that is only a few customers old.
    """
    profiles = [codec.decode(example.profile) for example in examples]
    stats = tensors(profiles, [example.as_of for example in examples], catalogue)["stats"].astype(np.float64)
    read = {name: stats[:, column] for column, name in enumerate(STATISTICS)}
    active = (np.expm1(read["calendar_recency_days"]) <= _ACTIVE_DAYS) & (read["baskets"] > 0)
    if not active.any():
        return None
    past = [[e for e in histories[each.customer_id] if to_epoch_ms(e.time) <= each.as_of] for each in examples]
    able = active & np.fromiter(map(_fits, past), np.bool_, len(past))
    if not able.any():
        return None
    typical = np.column_stack([read[name] for name in _TYPICAL])
    middle, spread = np.median(typical[active], axis=0), typical[active].std(axis=0)
    distance = np.abs((typical - middle) / np.where(spread > 0, spread, 1.0)) @ list(_TYPICAL.values())
    nearest = int(np.argmin(np.where(able, distance, np.inf)))
    orders = [
        ReferenceOrder(
            days_ago=round((examples[nearest].as_of - to_epoch_ms(event.time)) / DAY_MS, 2),
            lines=[_line(item) for item in event.items],
        )
        for event in past[nearest]
        if event.type == "purchase"
    ]
    return ReferenceCustomer(currency=currency, customers=int(active.sum()), orders=orders)


def _line(item: Item) -> ReferenceLine:
    return ReferenceLine(item.item_id, item.price or 0.0, 1.0 if item.quantity is None else item.quantity)


def _fits(events: Sequence[Event]) -> bool:
    orders = [event for event in events if event.type == "purchase"]
    lines = sum(len(event.items) for event in orders)
    bought_alone = not any(event.type == "return" for event in events)
    return bought_alone and _BUYS_AGAIN <= len(orders) <= _MOST_ORDERS and lines <= _MOST_LINES


def with_reference(card: ModelCard, reference: ReferenceCustomer | None) -> ModelCard:
    """The card with this reference, all else as it was."""
    fields = {name: getattr(card, name) for name in card.__struct_fields__}
    return ModelCard(**(fields | {"reference": reference}))


def choose(
    events: Annotated[list[Path], typer.Argument(help="files of canonical events")],
    cutoff: Annotated[datetime, typer.Option(formats=["%Y-%m-%d"], help="what happened before it is known")],
    model: Annotated[Path | None, typer.Option(help="version folder; the one that Triton serves unless given")] = None,
) -> None:
    """Choose the reference customer of a model that has none, and write it into the model's card."""
    folder = model or Registry(model_repository()).default().folder
    card = read_model_card(folder)
    settings = ProfileSettings(currency=card.currency)
    at = to_epoch_ms(cutoff.replace(tzinfo=UTC))
    histories = by_customer(read_events(events, settings))
    known = [
        example
        for own in histories.values()
        for example in customer_examples(own, [at], at, settings)
        if example.trigger is None
    ]
    shop = Catalogue.from_items((), shop=read_shop(folder / SHOP_FILE))
    reference = chosen_reference(known, histories, shop, card.currency)
    if reference is None:
        typer.echo("nobody in these events is like most: give more of them, or another --cutoff", err=True)
        raise typer.Exit(1)
    write_model_card(folder, with_reference(card, reference))
    typer.echo(f"{len(reference.orders)} orders, in the middle of {reference.customers} customers, in {folder}")


if __name__ == "__main__":
    typer.run(choose)
