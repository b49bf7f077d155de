"""Why an alert was raised or not is told with the figures that decided. (That what is told is what was done is held by
``Customer.answered``, in every test of this package.)"""

import pytest

from stream.contracts.events import Consent
from stream.contracts.times import DAY_MS
from stream.decisions.budget import Budget
from stream.decisions.policies import Rule


def last(customer):
    """The one verdict of the newest request, and the condition that decided."""
    (verdict,) = customer.weighed
    return verdict, verdict.conditions[-1]


def test_a_raised_alert_passed_every_condition(shop):
    customer = shop.regular()
    customer.asks(80, 0.75)
    verdict, _ = last(customer)
    assert (verdict.outcome, verdict.open) == ("raised", False)
    assert not any(condition.holds for condition in verdict.conditions)
    assert len(verdict.conditions) == 12


def test_a_low_score_is_told_with_its_threshold_and_nothing_behind_it(shop):
    customer = shop.regular()
    customer.asks(80, 0.65)
    verdict, condition = last(customer)
    assert verdict.outcome == condition.outcome == "below_threshold"
    assert (condition.observed, condition.limit, condition.unit) == (0.65, 0.7, "probability")
    assert [each.holds for each in verdict.conditions] == [False] * 4 + [True]


def test_a_cool_down_is_told_with_its_end(shop):
    customer = shop.regular()
    customer.asks(80, 0.75)
    customer.buys(85).asks(86, 0.2)
    customer.asks(105, 0.9)
    verdict, condition = last(customer)
    assert verdict.outcome == "cool_down"
    assert (condition.observed, condition.limit) == (shop.at(105), shop.at(86) + 30 * DAY_MS)
    assert condition.unit == "time"


def test_the_daily_cap_is_told_with_what_was_raised(shop):
    rules = {
        kind: Rule(raise_threshold=0.7, resolve_threshold=0.6, cool_down_days=0)
        for kind in ("churn_risk", "second_purchase")
    }
    customer = shop.regular(in_force=shop.policies(**rules))
    customer.asks(80, 0.75)
    customer.buys(80.1).asks(80.2, 0.2)
    customer.asks(80.3, 0.9)
    _, condition = last(customer)
    assert (condition.outcome, condition.observed, condition.limit) == ("daily_cap", 1, 1)


def test_a_spent_budget_is_told_with_the_partition_s_share(shop):
    rule = Rule(raise_threshold=0.7, resolve_threshold=0.6, daily_budget=2)
    budget = Budget()
    for name in ("a", "b", "c"):
        customer = shop.regular(name, in_force=shop.policies(churn_risk=rule), budget=budget)
        customer.asks(80, 0.75)
    _, condition = last(customer)
    assert (condition.outcome, condition.observed, condition.limit) == ("budget", 2, 2)


@pytest.mark.parametrize(("day", "outcome", "limit"), [(70, "too_early", 14), (170, "too_late", 90)])
def test_silence_is_told_in_days(shop, day, outcome, limit):
    customer = shop.regular()
    customer.asks(day, 0.9)
    _, condition = last(customer)
    assert (condition.outcome, condition.observed, condition.limit) == (outcome, day - 60, limit)


def test_a_fallback_is_told_with_its_reason(shop):
    customer = shop.regular()
    customer.asks(80, 0.9, fallback="timeout")
    _, condition = last(customer)
    assert (condition.outcome, condition.observed) == ("fallback", "timeout")


def test_without_consent_to_marketing_nothing_else_is_asked(shop):
    customer = shop.regular()
    customer.event("consent", 61, consent=Consent(marketing="denied"))
    customer.asks(80, 0.9)
    verdict, condition = last(customer)
    assert condition.outcome == "no_consent"
    assert len(verdict.conditions) == 1


@pytest.mark.parametrize(("score", "outcome"), [(0.62, "updated"), (0.74, "unchanged"), (0.55, "recovered")])
def test_an_open_alert_is_told_with_the_threshold_that_ends_it_and_the_step_that_moves_it(shop, score, outcome):
    customer = shop.regular()
    customer.asks(80, 0.75)
    customer.asks(81, score)
    verdict, _ = last(customer)
    assert (verdict.outcome, verdict.open) == (outcome, True)
    told = {condition.outcome: condition for condition in verdict.conditions}
    assert (told["recovered"].observed, told["recovered"].limit) == (score, 0.6)
    if outcome != "recovered":
        assert (told["updated"].observed, told["updated"].limit) == (round(0.75 - score, 3), 0.05)


def test_a_purchase_that_ends_an_alert_is_told_with_both_purchases(shop):
    customer = shop.regular()
    customer.asks(80, 0.75)
    customer.buys(82).asks(83, 0.9)
    _, condition = last(customer)
    assert (condition.outcome, condition.observed, condition.limit) == ("purchased", shop.at(82), shop.at(60))
