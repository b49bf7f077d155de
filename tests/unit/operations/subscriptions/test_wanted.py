"""Which transitions are told: whoever got a beginning gets the end, and the control group is never told of."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from stream.contracts.alerts import AlertEvent
from stream.contracts.codec import encode
from stream.operations.subscriptions.outcomes import Delivery
from stream.operations.subscriptions.wanted import SEVERITIES, Skipped, Unreadable, Wanted
from tests.integration.operations.subscriptions.alerting import transition

severities = st.sampled_from(SEVERITIES)


def look(wanted: Wanted, event: AlertEvent, partition: int = 0) -> Delivery | Skipped:
    return wanted.look(partition, 0, event.subject.encode(), encode(event))


def told(wanted: Wanted, event: AlertEvent) -> bool:
    return isinstance(look(wanted, event), Delivery)


def episode(levels: list[Any]) -> list[AlertEvent]:
    last = len(levels)
    return [
        transition("ann", number, severity=level, status="resolved" if number == last > 1 else None)
        for number, level in enumerate(levels, 1)
    ]


@given(st.lists(severities, min_size=1, max_size=6), severities)
def test_an_alert_is_told_from_where_it_reaches_the_severity_to_its_end(levels: list[Any], least: Any) -> None:
    wanted = Wanted(least=least)
    reached = [SEVERITIES.index(level) >= SEVERITIES.index(least) for level in levels]
    assert [told(wanted, event) for event in episode(levels)] == [any(reached[: at + 1]) for at in range(len(levels))]


@given(st.lists(severities, min_size=2, max_size=6), severities, st.data())
def test_after_a_restart_too_much_may_be_told_and_never_too_little(levels: list[Any], least: Any, data: Any) -> None:
    events = episode(levels)
    cut = data.draw(st.integers(1, len(events) - 1))
    whole, after = Wanted(least=least), Wanted(least=least)
    for event in events[:cut]:
        told(whole, event)
    for event in events[cut:]:
        if told(whole, event):
            assert told(after, event)


def test_kinds_that_are_not_wanted_are_skipped() -> None:
    wanted = Wanted(frozenset({"second_purchase"}))
    assert look(wanted, transition("ann")) == Skipped("kind")
    assert told(wanted, transition("ann", kind="second_purchase"))


@pytest.mark.parametrize("status", ["raised", "resolved", "corrected"])
def test_the_control_group_is_never_told_of(status: str) -> None:
    event = transition("ann", severity="high", status=status)
    event.data.experiment = replace(event.data.experiment, arm="holdout")
    assert look(Wanted(), event) == Skipped("holdout")


def test_partitions_that_go_are_forgotten() -> None:
    wanted = Wanted(least="high")
    assert look(wanted, transition("ann", severity="low"), 1) == Skipped("severity")
    assert look(wanted, transition("ann", 2, severity="low"), 1) == Skipped("severity")
    wanted.forget({1})
    assert isinstance(look(wanted, transition("ann", 3, severity="low"), 1), Delivery)


def test_the_end_because_of_an_erasure_is_not_void_by_it() -> None:
    found = look(Wanted(), transition("ann", 2, status="resolved", resolve_reason="erased"))
    assert isinstance(found, Delivery)
    assert found.evidence is None


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (b"ann", None),
        (b"ann", b""),
        (b"ann", b"[]"),
        (None, encode(transition("ann"))),
        (b"bob", encode(transition("ann"))),
        (b"ann", encode(replace(transition("ann"), id="a\r\nwebhook-id: b"))),
        (b"ann", encode(replace(transition("ann"), id=""))),
    ],
)
def test_what_is_no_alert_is_said_to_be_none(key: bytes | None, value: bytes | None) -> None:
    with pytest.raises(Unreadable):
        Wanted().look(0, 0, key, value)
