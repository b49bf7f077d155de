"""Decisions folded again for one customer are judged as they were then, though the others' are not folded."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from stream.contracts.events import Consent
from stream.decisions.policies import Rule
from stream.operations.history.deciding import judged, recorded
from tests.unit.decisions.conftest import Customer, answer, policies
from tests.unit.operations.history.live import LIMIT, SCORES, Live, processor

TIGHT = policies(
    churn_risk=Rule(raise_threshold=0.7, resolve_threshold=0.6, silent_from_days=1, cool_down_days=5, daily_budget=1),
    second_purchase=Rule(raise_threshold=0.7, resolve_threshold=0.6, silent_from_days=1, cool_down_days=5),
)
NAMES = ("ann", "bob", "cat")
STEPS = st.lists(
    st.tuples(
        st.sampled_from(NAMES),
        st.sampled_from([0.01, 0.3, 2.0, 9.0]),
        st.sampled_from([0.2, 0.65, 0.72, 0.9]),
        st.sampled_from(["", "", "", "timeout", "buys", "denies", "allows", "silent"]),
    ),
    min_size=5,
    max_size=40,
)


def lived(steps: list[tuple[str, float, float, str]]) -> Live:
    live = Live(TIGHT)
    shop = {name: Customer(name).buys(0, 20, 40) for name in NAMES}
    day = 45.0
    for name, gap, score, what in steps:
        day += gap
        customer = shop[name]
        if what == "buys":
            customer.buys(day)
        elif what in ("denies", "allows"):
            customer.event("consent", day, consent=Consent(marketing="denied" if what == "denies" else "granted"))
        live.ask(customer.request(day + 0.001), answer(score, what if what == "timeout" else ""))
    return live


@given(STEPS, st.sampled_from(NAMES))
@settings(max_examples=25, deadline=None)
def test_one_customer_is_judged_as_it_was_among_the_others(steps: list[Any], name: str) -> None:
    live, key = lived(steps), name.encode()
    known = recorded(live.scores(), key)
    again = judged(processor(TIGHT), SCORES, LIMIT, key, 0, live.requests, known)
    assert again.keys() == known.own.keys()
    for offset, (score, outcome) in known.own.items():
        assert (again[offset].outcome, again[offset].policy_version) == (outcome, score.policy_version)
        assert ",".join(f"{each.kind}={each.outcome}" for each in again[offset].weighed) == outcome


def test_the_budget_that_others_have_spent_is_told() -> None:
    live = lived([("ann", 10.0, 0.9, ""), ("bob", 0.01, 0.9, "")])
    again = judged(processor(TIGHT), SCORES, LIMIT, b"bob", 0, live.requests, recorded(live.scores(), b"bob"))
    (only,) = again.values()
    condition = only.weighed[0].conditions[-1]
    assert (condition.outcome, condition.observed, condition.limit) == ("budget", 1, 1)


def test_a_log_that_has_lost_questions_gives_another_outcome_than_the_one_recorded() -> None:
    live = lived([("ann", 10.0, 0.9, ""), ("ann", 1.0, 0.9, "buys"), ("ann", 3.0, 0.9, "")])
    known = recorded(live.scores(), b"ann")
    again = judged(processor(TIGHT), SCORES, LIMIT, b"ann", 0, live.requests[2:], known)
    last = live.requests[2].offset
    assert known.own[last][1] == "churn_risk=cool_down"
    assert again[last].outcome != known.own[last][1]
