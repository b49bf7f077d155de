import math

import pyarrow.parquet as pq
import pytest
from pyarrow.csv import read_csv

from serving.evaluation.alerts import alert_worth
from serving.evaluation.episodes import FiredAlert, episodes_of, write_episodes
from serving.evaluation.purchase_table import PurchaseTable
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


def test_the_lead_is_counted_to_one_own_mean_gap_after_the_last_purchase():
    purchases = {"early": days(0, 20, 40, 60), "overdue": days(0, 10, 20), "once": days(30)}
    alerts = [FiredAlert("early", 65 * DAY_MS, 0.9), FiredAlert("overdue", 35 * DAY_MS, 0.9)]
    table = PurchaseTable(purchases)
    leads = [episode.lead_days for episode in episodes_of(alerts, table, 30 * DAY_MS, 90 * DAY_MS, END)]
    assert leads == pytest.approx([15.0, -5.0])


def test_who_came_once_is_expected_after_the_shop_s_median_gap_known_then():
    purchases = {"once": days(30), "quick": days(0, 10), "slow": days(0, 20), "not_yet": days(0, 300)}
    table = PurchaseTable(purchases)
    row = table.row("once")
    assert table.expected(row, 35 * DAY_MS) == pytest.approx(45 * DAY_MS)
    # At day 5 nobody had come a second time.
    assert PurchaseTable({"once": days(3), "quick": days(0, 10)}).expected(0, 5 * DAY_MS) is None


def test_alerts_a_week_are_counted_over_the_time_in_which_they_were_looked_for():
    purchases = {str(number): days(60, 90) for number in range(10)}
    alert = [FiredAlert("1", 100 * DAY_MS, 0.9)]
    worth = alert_worth(alert, purchases, 30, END, window=(91 * DAY_MS, 119 * DAY_MS))
    assert worth.per_1000_a_week == pytest.approx(1000 / 10 / 4)


def test_intervals_hold_their_figures_and_an_alert_of_everybody_has_no_lift():
    everybody = {str(n): days(n / 10, 90 + n / 10, *([100 + n / 10] if n % 3 else [])) for n in range(60)}
    alerts = [FiredAlert(customer, 98 * DAY_MS, 0.9) for customer in everybody]
    worth = alert_worth(alerts, everybody, 30, END)
    assert worth.precision_interval.low < worth.precision < worth.precision_interval.high
    assert worth.lift == pytest.approx(1.0)
    assert worth.lift_interval == pytest.approx((1.0, 1.0))
    right = [alert for alert in alerts if int(alert.customer_id) % 3 == 0]
    sure = alert_worth(right, everybody, 30, END)
    assert sure.lift_interval.low > 1.5
    assert sure.lift_interval.low <= sure.lift <= sure.lift_interval.high


def test_alerts_of_one_customer_widen_the_interval_more_than_as_many_customers():
    purchases = {str(n): days(*(day + n / 100 for day in range(0, 391, 30))) for n in range(40)}
    purchases |= {f"gone {n}": days(0, 30, 60 + n / 100) for n in range(40)}
    many = [FiredAlert(str(n) if n % 2 else f"gone {n}", 65 * DAY_MS, 0.9) for n in range(16)]
    few = [FiredAlert("1" if n % 2 else "gone 2", (65 + n) * DAY_MS, 0.9) for n in range(16)]

    def width(alerts: list[FiredAlert]) -> float:
        low, high = alert_worth(alerts, purchases, 60, END).precision_interval
        return high - low

    assert width(few) > 1.5 * width(many)


@pytest.mark.parametrize("name", ["rows.parquet", "rows.csv"])
def test_a_row_an_episode_says_what_became_of_it(tmp_path, name):
    purchases = {"gone": days(0, 90), "back": days(0, 90, 119), "late": days(380)}
    alerts = [
        FiredAlert(c, at * DAY_MS, 0.9, "churn_risk", 0.5) for c, at in (("gone", 100), ("back", 100), ("late", 390))
    ]
    alerts.append(FiredAlert("nobody", 100 * DAY_MS, 0.9))
    episodes = episodes_of(alerts, PurchaseTable(purchases), 30 * DAY_MS, 90 * DAY_MS, END)
    write_episodes(tmp_path / name, episodes)
    read = pq.read_table(tmp_path / name) if name.endswith("parquet") else read_csv(tmp_path / name)
    assert read["right"].to_pylist()[:3] == [True, False, None]
    assert read["over"].to_pylist() == [True, True, False, True]
    assert read["active"].to_pylist() == [True, True, True, False]
    assert read["next_purchase"].to_pylist()[1].date().isoformat() == "1970-04-30"
    assert read.num_rows == 4
