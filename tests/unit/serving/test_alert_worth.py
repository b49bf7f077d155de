import math

import pytest

from serving.evaluation.alerts import FiredAlert, alert_worth
from stream.contracts.times import DAY_MS

END = 400 * DAY_MS


def days(*numbers: float) -> list[int]:
    return [int(number * DAY_MS) for number in numbers]


def test_an_alert_is_right_when_no_purchase_follows_within_the_horizon():
    purchases = {"gone": days(0, 90), "back": days(0, 90, 119), "late": days(0, 90, 131)}
    alerts = [FiredAlert(customer, 100 * DAY_MS, 0.9) for customer in purchases]
    worth = alert_worth(alerts, purchases, horizon_days=30, end=END)
    assert (worth.fired, worth.counted) == (3, 3)
    assert worth.precision == pytest.approx(2 / 3)


def test_the_base_rate_is_that_of_all_active_customers_at_the_same_instants():
    purchases = {"a": days(0, 90), "b": days(95, 110), "c": days(80, 120), "long_gone": days(0)}
    worth = alert_worth([FiredAlert("a", 100 * DAY_MS, 0.9)], purchases, 30, END)
    assert worth.precision == 1.0
    assert worth.base_rate == pytest.approx(1 / 3)
    assert worth.lift == pytest.approx(3.0)


def test_alerts_of_inactive_or_unknown_customers_and_of_unfinished_horizons_are_not_counted():
    purchases = {"gone": days(0), "active": days(380), "fine": days(90)}
    alerts = [
        FiredAlert("gone", 100 * DAY_MS, 0.9),
        FiredAlert("nobody", 100 * DAY_MS, 0.9),
        FiredAlert("active", 390 * DAY_MS, 0.9),
        FiredAlert("fine", 100 * DAY_MS, 0.9),
    ]
    worth = alert_worth(alerts, purchases, 30, END)
    assert (worth.fired, worth.counted) == (4, 1)


def test_the_rule_fires_as_often_as_the_alerts_and_at_the_largest_factor_that_does():
    # Every 10 days: "stops" is silent until it counts as inactive, 9 gaps later, "pause" for 6 gaps.
    purchases = {
        "pause": days(*range(0, 101, 10), *range(160, 391, 10)),
        "stops": days(*range(0, 101, 10)),
        "steady": days(*range(0, 391, 10)),
    }
    alerts = [FiredAlert("stops", 100 * DAY_MS, 0.9), FiredAlert("pause", 160 * DAY_MS, 0.8)]
    worth = alert_worth(alerts, purchases, 30, END)
    assert worth.rule_fired == worth.counted == 2
    assert worth.rule_factor == pytest.approx(6.0, abs=0.01)
    # At 6 gaps of silence "pause" comes back within the next 30 days, "stops" does not.
    assert worth.rule_precision == pytest.approx(0.5)


def test_several_orders_of_one_day_are_one_visit():
    purchases = {"a": days(0, 0.1, 0.2, 20, 20.1, 40), "b": days(0, 20, 40)}
    alerts = [FiredAlert("a", 60 * DAY_MS, 0.9), FiredAlert("b", 60 * DAY_MS, 0.9)]
    worth = alert_worth(alerts, purchases, 30, END)
    # Both last came on day 40 with a mean gap of 20 days, and are active for 90 days.
    assert (worth.rule_factor, worth.rule_fired) == (4.5, 2)


def test_a_rule_that_cannot_fire_so_often_fires_as_often_as_it_can():
    purchases = {"a": days(0, 20, 40), "b": days(50), "c": days(50)}
    worth = alert_worth([FiredAlert(c, 60 * DAY_MS, 0.9) for c in "abc"], purchases, 30, END)
    assert (worth.counted, worth.rule_fired) == (3, 1)


def test_without_alerts_nothing_is_claimed():
    worth = alert_worth([], {"a": days(0)}, 30, END)
    assert (worth.fired, worth.counted, worth.rule_fired) == (0, 0, 0)
    assert math.isnan(worth.precision)
    assert math.isnan(worth.base_rate)
    assert math.isnan(worth.rule_factor)
