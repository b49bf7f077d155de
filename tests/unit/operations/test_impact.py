from dataclasses import dataclass

import pytest

from stream.contracts.alerts import Experiment, OpenAlert
from stream.decisions.policies import Policies, Rule
from stream.operations.impact import HOUR_MS, Impact, judged

RULE = Rule(raise_threshold=0.6, resolve_threshold=0.5, medium_from=0.7, high_from=0.9)
POLICIES = Policies(churn_risk=RULE, second_purchase=RULE).in_force(None)


@dataclass
class Case:
    score: float | None
    expected: str


def _alert(customer: str, kind: str = "churn_risk") -> OpenAlert:
    return OpenAlert(
        alert_id=f"alert-{customer}",
        kind=kind,
        customer_id=customer,
        revision=1,
        status="raised",
        severity="medium",
        score=0.75,
        episode_started_at="2011-06-01T00:00:00Z",
        as_of="2011-06-01T00:00:00Z",
        expires_at="2011-07-01T00:00:00Z",
        experiment=Experiment("alerts", "treatment", 0.1, "1"),
    )


@pytest.mark.parametrize(
    "case",
    [
        Case(0.499, "resolved"),
        Case(0.5, "severity"),
        Case(0.69, "severity"),
        Case(0.7, "moved"),
        Case(0.701, "stay"),
        Case(0.799, "stay"),
        Case(0.8, "moved"),
        Case(0.9, "severity"),
        Case(None, "unknown"),
    ],
)
def test_an_open_alert_is_counted_under_what_would_become_of_it(case: Case) -> None:
    scores = {} if case.score is None else {"ada": case.score}
    found = judged([_alert("ada")], scores, POLICIES)
    assert found.open == 1
    counts = {name: getattr(found, name) for name in ("resolved", "severity", "moved", "unknown")}
    assert counts == {name: int(name == case.expected) for name in counts}
    assert found.changing == int(case.expected in ("resolved", "severity", "moved"))


def test_alerts_of_a_kind_that_is_gone_or_switched_off_would_end() -> None:
    off = Policies(churn_risk=Rule(enabled=False), second_purchase=RULE).in_force(None)
    assert judged([_alert("ada"), _alert("bob", "gone")], {"ada": 0.75, "bob": 0.75}, off).resolved == 2


def test_a_switch_takes_so_long_that_no_more_than_the_share_changes_an_hour() -> None:
    assert Impact(0).ramp_ms(0.1) == 0
    assert Impact(100, resolved=10).ramp_ms(0.1) == 0
    found = Impact(100, resolved=10, severity=5, moved=10)
    assert found.changing == 25
    ramp_ms = found.ramp_ms(0.1)
    assert ramp_ms == 2.5 * HOUR_MS
    assert found.changing * HOUR_MS / ramp_ms <= 0.1 * found.open
