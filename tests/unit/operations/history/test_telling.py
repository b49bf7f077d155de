"""A time line reads the same on a terminal and on a page, whatever visitors have typed, and says what decided."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import get_args

import pytest

from stream.configuration.load import load
from stream.contracts.alerts import Correction
from stream.contracts.codec import encode
from stream.contracts.events import Event, Item
from stream.contracts.scores import Contribution, ModelStamp
from stream.contracts.times import DAY_MS, HOUR_MS
from stream.decisions.verdicts import Condition, Outcome, Weighed
from stream.engine.processor import Record
from stream.operations.history.fields import by_hash
from stream.operations.history.folding import CustomerFold
from stream.operations.history.page import page
from stream.operations.history.telling import condition, told, verdict
from stream.operations.history.timeline import Answered, Explanation, Happened, Transition, in_order, shown_of
from stream.workers.erased import Erasures
from tests.unit.operations.messages import alert

START = 1_300_000_000_000
NASTY = "<script>alert(1)</script>\x1b[31m&\"'"


def folded(*events: Event | bytes) -> CustomerFold:
    fold = CustomerFold(load(None, {}).configuration, NASTY.encode(), 0, 1, Erasures(), by_hash)
    for offset, event in enumerate(events):
        value = event if isinstance(event, bytes) else encode(event)
        fold.take(Record("customer.events.v1", 0, offset, START + 900 * DAY_MS, NASTY.encode(), value, ()))
    return fold


def event(type_: str, time: int, name: str = "", **fields: object) -> Event:
    item = Item(NASTY, item_name=NASTY, price=2.5, quantity=2.0)
    return Event(name or f"{type_}-{time}", type_, time, customer_id=NASTY, items=[item], **fields)  # type: ignore[arg-type]


def answered(outcome: str, judged: list[Weighed], at: int = START, offset: int = 0) -> Answered:
    return Answered(
        at=at,
        partition=0,
        offset=offset,
        request_id="r",
        trigger="purchase",
        model=ModelStamp("customer", "1.abc", "f"),
        fallback_reason="",
        churn={"90d": 0.75},
        reasons=[Contribution("silence", 73.0, "days_silent", 15.0, 0.14)],
        policy_version="p",
        mode="live",
        outcome=outcome,
        judged=judged,
    )


def test_every_event_is_told_with_what_became_of_it() -> None:
    fold = folded(
        event("purchase", START, "one", transaction_id="a"),
        event("purchase", START, "one", transaction_id="a"),
        event("browse", START - 100 * DAY_MS),
        b"no event",
        event("browse", START + 60 * DAY_MS),
        event("erase", START + 61 * DAY_MS),
    )
    events = [entry for entry in fold.entries if isinstance(entry, Happened)]
    assert [entry.outcome for entry in events] == ["folded", "duplicate", "too_late", "not_json", "folded", "erased"]
    assert [entry.offset for entry in events] == list(range(6))
    assert fold.profile() is None
    # One order, and forty-five days of silence: noticed as of the day on which it was due, by the record behind it.
    silence = next(entry for entry in fold.entries if not isinstance(entry, Happened))
    assert (silence.at, silence.offset) == (START + 45 * DAY_MS, 4)
    assert silence.asked[0].trigger == "silence"
    assert "revenue 0.00 → 5.00 GBP" in told(events[0], "GBP").lines[0]


def test_an_event_that_comes_late_does_not_turn_the_clock_back() -> None:
    fold = folded(event("browse", START), event("browse", START - HOUR_MS))
    entries = in_order(fold.entries, [answered("no_purchase", [], START, 0)])
    assert [type(entry).__name__ for entry in entries] == ["Happened", "Happened", "Answered"]


@pytest.mark.parametrize("outcome", sorted({*get_args(Outcome)} - {"raised", "unchanged"}))
@pytest.mark.parametrize("figures", [(None, None, ""), (0.65, 0.7, "probability"), (START, START, "time")])
def test_every_condition_has_words(outcome: Outcome, figures: tuple[float, float, str]) -> None:
    said = condition(Condition(outcome, True, *figures), "GBP")  # type: ignore[arg-type]
    assert len(said) > 10
    assert "_" not in said


def test_the_condition_that_decided_is_the_one_that_is_told() -> None:
    passed = Condition("below_threshold", False, 0.75, 0.7, "probability")
    rest = Condition("cool_down", True, START, START + DAY_MS, "time")
    assert verdict(Weighed("churn_risk", False, "cool_down", [passed, rest]), "GBP") == (
        "churn risk: not raised: cool-down until 2011-03-14 07:06"
    )
    assert "score 0.750 is at least 0.700" in verdict(Weighed("churn_risk", False, "raised", [passed]), "GBP")
    low = Condition("recovered", False, 0.65, 0.6, "probability")
    still = Condition("updated", False, 0.02, 0.05, "probability")
    assert verdict(Weighed("churn_risk", True, "unchanged", [low, still]), "GBP") == (
        "churn risk: left as it is: score 0.650 is not below 0.600, where it would end, it moved by 0.020, an update "
        "needs 0.050 or another severity"
    )


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.references: list[str] = []
        self.stack: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.references += [value or "" for name, value in attrs if name in ("src", "href")]
        if tag not in ("meta", "br", "line", "path", "circle", "rect", "polyline", "polygon"):
            self.stack.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in self.stack:
            assert self.stack.pop() == tag


def test_the_page_needs_nothing_else_and_runs_nothing_that_a_visitor_typed() -> None:
    fold = folded(event("purchase", START, "one"), event("cart", START + HOUR_MS, NASTY), b"<b>")
    weighed = [Weighed("churn_risk", False, "cool_down", [Condition("cool_down", True, START, START, "time")])]
    answers = [answered("churn_risk=cool_down", weighed, START + day * DAY_MS, day) for day in range(3)]
    made = page(Explanation(NASTY, 0, "", in_order(fold.entries, list(answers)), fold.profile(), "GBP", log_begins=7))
    reader = _Reader()
    reader.feed(made)
    assert reader.stack == []
    assert not {"script", "link", "img", "iframe", "object", "b1"} & set(reader.tags)
    assert reader.references == []
    assert "\x1b" not in made
    assert "&lt;script&gt;alert(1)" in made
    assert "cool-down until" in made


def test_a_transition_of_a_repair_says_so_and_why() -> None:
    why = Correction("mended", "revenue counted twice", "2026-11-24T05:00:00.000Z")
    repaired = alert(status="corrected", resolve_reason="corrected", revision=2, correction=why).data
    entry = told(Transition(START, "alerts", 0, 7, "m", repaired), "GBP")
    assert entry.lines[0] == "put right on 2026-11-24 by repair mended: revenue counted twice"
    said = told(Transition(START, "alerts", 0, 7, "m", alert().data), "GBP")
    assert not any("put right" in line for line in said.lines)


def test_of_an_alert_the_entries_around_it_are_shown() -> None:
    entries = [answered("no_purchase", [], START + day, day) for day in range(50)]
    explanation = Explanation("c", 0, "", list(entries), None, "GBP", 0)
    shown, before, after = shown_of(explanation, 30)
    assert (len(shown), before, after) == (30, 20, 0)
    assert shown_of(explanation, 0)[1:] == (0, 0)
