import math
from collections import Counter
from dataclasses import dataclass

import pytest

from serving.rollout import Rollout
from stream.contracts.alerts import Experiment, OpenAlert
from stream.contracts.control import Control
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


def test_in_no_hour_of_a_ramp_do_more_open_alerts_change_than_were_to() -> None:
    share, found = 0.1, Impact(2_000, resolved=1_200)
    ramp_ms = found.ramp_ms(share)
    assert ramp_ms == 6 * HOUR_MS
    rollout = Rollout("1.a", [Control(kind="model", version="2.b", effective_at=0, ramp_ms=ramp_ms)])
    hours = Counter(
        next(hour for hour in range(7) if rollout.version_for(f"c{number}", (hour + 1) * HOUR_MS) == "2.b")
        for number in range(found.changing)
    )
    assert sorted(hours) == list(range(6))
    # Customers' places are hashes: an hour has its share, give or take what chance does.
    assert max(hours.values()) <= share * found.open + 3 * math.sqrt(share * found.open)


def test_a_ramp_that_is_taken_back_half_way_changes_nobody_any_more() -> None:
    there = Control(kind="model", version="2.b", effective_at=0, previous_version="1.a", ramp_ms=10 * HOUR_MS)
    back = Control(kind="model", version="1.a", effective_at=5 * HOUR_MS, previous_version="2.b")
    rollout, people = Rollout("1.a", [there, back]), [f"c{number}" for number in range(1_000)]
    before = sum(rollout.version_for(each, 5 * HOUR_MS - 1) == "2.b" for each in people)
    assert 430 < before < 570
    assert {rollout.version_for(each, hour * HOUR_MS) for each in people for hour in (5, 9, 11)} == {"1.a"}
