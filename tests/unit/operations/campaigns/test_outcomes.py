"""What counts of a window: what was bought in it, less what came back of that."""

from __future__ import annotations

from typing import Any

import pytest

from stream.contracts.events import Attribution, Engagement, Event, Item
from stream.contracts.times import DAY_MS, HOUR_MS
from stream.operations.campaigns.cohort import Unit
from stream.operations.campaigns.outcomes import CustomerLog, Outcome
from stream.profiles.settings import ProfileSettings

RAISED = 1_300_000_000_000
UNIT = Unit(
    customer_id="c",
    experiment="alerts",
    salt_version="1",
    share=0.1,
    arm="treatment",
    kind="churn_risk",
    segment="standard",
    raised_at=RAISED,
    days=30,
    events_partition=0,
    events_offset=0,
    alert_ids=frozenset(["first", "second"]),
)
NOTHING = Outcome(0, 0.0, False)


def event(type_: str, day: float, name: str = "", **fields: Any) -> Event:
    at = RAISED + int(day * DAY_MS)
    return Event(f"{type_} {day} {name}", type_, at, customer_id="c", **fields)  # type: ignore[arg-type]


def bought(day: float, price: float, units: float = 1.0, item: str = "mug", **fields: Any) -> Event:
    return event("purchase", day, item, items=[Item(item, price=price, quantity=units)], **fields)


def outcome(*events: Event, redriven: bool = False) -> Outcome:
    log = CustomerLog(ProfileSettings(exchange_rates={"EUR": 0.5}), [UNIT])
    for each in events:
        assert isinstance(each.time, int)
        log.take(each, each.time, redriven)
    return log.outcome(UNIT)


def test_parts_of_one_order_are_one_order() -> None:
    parts = [bought(1, 10.0, 2.0, transaction_id="o"), bought(1.1, 5.0, item="cup", transaction_id="o")]
    assert outcome(*parts, bought(2, 3.0)) == Outcome(2, 28.0, False)


@pytest.mark.parametrize(("day", "counts"), [(0, False), (1 / DAY_MS, True), (30, True), (30 + 1 / DAY_MS, False)])
def test_the_window_begins_behind_the_raise_and_ends_with_its_last_millisecond(day: float, counts: bool) -> None:
    assert outcome(bought(round(day * DAY_MS) / DAY_MS, 10.0)).orders == counts


def test_an_event_that_comes_twice_counts_once() -> None:
    assert outcome(bought(1, 10.0), bought(2, 4.0), bought(1, 10.0)) == Outcome(2, 14.0, False)


def test_money_is_that_of_the_deployment() -> None:
    assert outcome(bought(1, 10.0, currency="EUR")).revenue == 5.0


@pytest.mark.parametrize("fields", [{"simulated": True}, {"mode": "test"}])
def test_what_nobody_bought_counts_for_nothing(fields: dict[str, Any]) -> None:
    assert outcome(bought(1, 10.0, **fields)) == NOTHING


def test_what_comes_too_late_is_a_dead_letter_until_it_is_put_back() -> None:
    late = [event("browse", 20), bought(20 - 73 * HOUR_MS / DAY_MS, 10.0)]
    assert outcome(*late) == NOTHING
    assert outcome(*late, redriven=True).revenue == 10.0


ORDER = [bought(1, 10.0, 3.0, transaction_id="o"), bought(1, 7.0, item="cup", transaction_id="o")]


@pytest.mark.parametrize(
    ("back", "expected"),
    [
        (event("return", 5, transaction_id="o"), NOTHING),
        (event("return", 5, transaction_id="o", items=[Item("mug", quantity=1.0)]), Outcome(1, 27.0, False)),
        (event("return", 5, transaction_id="o", items=[Item("mug", price=4.0)]), Outcome(1, 33.0, False)),
        (event("return", 5, transaction_id="o", items=[Item("mug", price=4.0, quantity=3.0)]), Outcome(1, 25.0, False)),
        (event("return", 5, transaction_id="o", items=[Item("cup", price=90.0)]), Outcome(1, 30.0, False)),
        (event("return", 5, items=[Item("mug", quantity=3.0)]), Outcome(1, 7.0, False)),
        (event("return", 5, items=[Item("mug", quantity=9.0)]), Outcome(1, 7.0, False)),
        (event("return", 0.5, items=[Item("mug", quantity=1.0)]), Outcome(1, 37.0, False)),
        (event("return", 5, transaction_id="before"), Outcome(1, 37.0, False)),
        (event("return", 31, transaction_id="o"), Outcome(1, 37.0, False)),
    ],
    ids=[
        "whole",
        "a unit",
        "at another price",
        "for less",
        "for more",
        "unnamed",
        "too many",
        "before it was bought",
        "another's",
        "later",
    ],
)
def test_what_came_back_of_the_window_is_taken_off(back: Event, expected: Outcome) -> None:
    assert outcome(*ORDER, back) == expected


def test_an_order_of_which_all_lines_came_back_is_none() -> None:
    lines = [Item("mug", quantity=3.0), Item("cup", quantity=1.0)]
    assert outcome(*ORDER, event("return", 5, transaction_id="o", items=lines)) == NOTHING


def test_what_came_back_once_cannot_come_back_again() -> None:
    backs = [event("return", day, transaction_id="o", items=[Item("mug", quantity=3.0)]) for day in (5, 6)]
    assert outcome(*ORDER, *backs) == Outcome(1, 7.0, False)


def test_a_return_that_the_log_has_before_its_order_counts() -> None:
    assert outcome(event("return", 5, transaction_id="o"), *ORDER) == NOTHING


def engaged(day: float, alert_id: str) -> Event:
    return event("engagement", day, engagement=Engagement("delivered"), attribution=Attribution(alert_id=alert_id))


@pytest.mark.parametrize(
    ("happened", "reached"),
    [
        (engaged(0, "first"), True),
        (engaged(29, "second"), True),
        (engaged(31, "first"), False),
        (engaged(1, "somebody else's"), False),
        (event("engagement", 1, engagement=Engagement("delivered")), False),
    ],
    ids=["at once", "another alert", "after the window", "another's alert", "no alert named"],
)
def test_who_was_reached_is_said_by_an_event_that_names_the_alert(happened: Event, reached: bool) -> None:
    assert outcome(happened).reached == reached
