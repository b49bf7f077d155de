"""Who counts, in which arm, from when on."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.contracts.alerts import Alert, Correction, Experiment, Money
from stream.contracts.times import DAY_MS, to_rfc3339
from stream.decisions.kinds import segment_of
from stream.operations.campaigns.cohort import Cohort, Unit
from tests.unit.operations.messages import AT_MS
from tests.unit.operations.messages import alert as message

CORRECTION = Correction("fixed", "a wrong rule", to_rfc3339(AT_MS))


def alert(name: str, day: float = 0.0, arm: str = "treatment", **fields: object) -> Alert:
    usual: dict[str, object] = {
        "alert_id": name,
        "as_of": to_rfc3339(AT_MS + int(day * DAY_MS)),
        "experiment": Experiment("alerts", arm, 0.1, "1"),  # type: ignore[arg-type]
    }
    return message(**{**usual, **fields}).data


def units(*alerts: Alert, days: int | None = None) -> tuple[list[Unit], dict[str, int]]:
    cohort = Cohort(days, 1_000.0)
    for each in alerts:
        cohort.take(each)
    found, left_out = cohort.units()
    return found, dict(left_out)


@given(st.permutations([alert("a"), alert("b", 40, kind="second_purchase"), alert("c", 90)]))
def test_a_customer_counts_once_from_the_first_raise_on_in_whatever_order_alerts_are_read(order: list[Alert]) -> None:
    (unit,), left_out = units(*order)
    assert (unit.raised_at, unit.kind, unit.alert_ids) == (AT_MS, "churn_risk", frozenset("abc"))
    assert unit.ends_at == AT_MS + 90 * DAY_MS
    assert not left_out


def test_the_window_may_be_another_than_the_horizon() -> None:
    (unit,), _ = units(alert("a"), days=14)
    assert unit.ends_at == AT_MS + 14 * DAY_MS


def test_later_transitions_are_no_raises() -> None:
    (unit,), _ = units(
        alert("a"), alert("a", 3, status="updated", revision=2), alert("a", 9, status="resolved", revision=3)
    )
    assert unit.raised_at == AT_MS


def test_another_salt_is_another_draw() -> None:
    found, _ = units(alert("a"), alert("b", 40, experiment=Experiment("alerts", "holdout", 0.1, "2")))
    assert [(unit.salt_version, unit.arm) for unit in found] == [("1", "treatment"), ("2", "holdout")]


def test_after_a_changed_share_the_first_arm_counts() -> None:
    (unit,), _ = units(alert("a"), alert("b", 40, experiment=Experiment("alerts", "holdout", 0.5, "1")))
    assert (unit.arm, unit.share, unit.moved) == ("treatment", 0.1, True)


def test_an_alert_that_was_taken_back_counts_and_is_told() -> None:
    (unit,), _ = units(alert("a"), alert("a", 50, status="corrected", revision=2, correction=CORRECTION))
    assert unit.corrected


def test_who_was_raised_late_by_a_repair_is_left_out_with_later_alerts_too() -> None:
    found, left_out = units(alert("a", correction=CORRECTION), alert("b", 40))
    assert not found
    assert left_out == {"raised late, by a repair": 1}


def test_who_was_raised_before_the_log_begins_is_left_out() -> None:
    found, left_out = units(alert("a", 3, status="resolved", revision=4), alert("b", 40))
    assert not found
    assert left_out == {"raised before the alerts that are kept": 1}


@pytest.mark.parametrize("fields", [{"simulated": True}, {"mode": "test"}, {"mode": "replay"}])
def test_what_is_no_message_to_a_customer_is_no_raise(fields: dict[str, object]) -> None:
    cohort = Cohort(None, 1_000.0)
    cohort.take(alert("a", **fields))
    cohort.take(alert("a", 1, status="updated", revision=2, **fields))
    assert cohort.units() == ([], {})
    assert sum(cohort.alerts_left_out.values()) == 1


@pytest.mark.parametrize(
    ("kind", "spent", "segment"),
    [
        ("churn_risk", 999.0, "standard"),
        ("second_purchase", 999.0, "new"),
        ("churn_risk", 1_000.0, "high_value"),
        ("second_purchase", 1_001.0, "high_value"),
        ("churn_risk", 0.0, "standard"),
    ],
)
def test_the_segment_is_that_of_what_was_spent_in_a_year(kind: str, spent: float, segment: str) -> None:
    at_risk = Money(round(0.83 * spent * 90 / 365.0, 2), "GBP")
    assert segment_of(alert("a", kind=kind, value_at_risk=at_risk), 1_000.0) == segment
