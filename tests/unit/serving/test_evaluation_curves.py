"""Curves of an evaluation: right where the answer is known, and intervals that hold what they are intervals of."""

import numpy as np
import pytest

from serving.evaluation import metrics
from serving.evaluation.bootstrap import Draws
from serving.evaluation.comparison import MODEL, Forecast
from serving.evaluation.curves import SHARES, calibration, gain, value_deciles, wilson

RANDOM = np.random.default_rng(3)
SAID = RANDOM.uniform(0.05, 0.95, 2_000)
CHURNED = RANDOM.uniform(size=2_000) < SAID
DRAWS = Draws(2_000, 60)


def test_wilson_is_the_textbook_s_interval():
    # Newcombe 1998, table I: 81 of 263.
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=1e-4)
    assert wilson(0, 20).low == 0.0
    assert wilson(0, 20).high == pytest.approx(0.1611, abs=1e-4)


def test_probabilities_that_are_right_have_slope_one_intercept_none_and_bins_on_the_diagonal():
    found = calibration(90, CHURNED, SAID, DRAWS)
    assert [each.customers for each in found.bins] == [200] * 10
    assert found.slope_interval.low < 1 < found.slope_interval.high
    assert found.intercept_interval.low < 0 < found.intercept_interval.high
    assert sum(each.interval.low <= each.said <= each.interval.high for each in found.bins) >= 8


@pytest.mark.parametrize("shift", [-1.5, 0.4, 4.0])
def test_the_intercept_is_what_was_added_to_the_log_odds(shift):
    odds = np.log(SAID / (1 - SAID)) - shift
    # The truth as probabilities, so that nothing is drawn.
    assert metrics.calibration_intercept(SAID, 1 / (1 + np.exp(-odds))) == pytest.approx(shift, abs=1e-6)


def test_gain_lies_between_chance_and_what_nobody_exceeds():
    chance = RANDOM.uniform(size=2_000)
    found = gain(90, CHURNED, {MODEL: Forecast(churn={90: SAID}), "chance": Forecast(churn={90: chance})}, DRAWS)
    for place, share in enumerate(SHARES):
        assert found.found[MODEL][place] <= found.perfect[place] + 1e-9
        assert found.found["chance"][place] == pytest.approx(share, abs=0.06)
        assert found.intervals[place].low <= found.found[MODEL][place] <= found.intervals[place].high
    assert found.found[MODEL][SHARES.index(0.2)] > 0.3
    assert found.found[MODEL][-1] == found.perfect[-1] == 1.0


def test_gain_at_a_share_is_precision_there_over_the_base_rate():
    found = gain(90, CHURNED, {MODEL: Forecast(churn={90: SAID})}, DRAWS)
    precision = metrics.precision_at(CHURNED, SAID, 0.1)
    assert found.found[MODEL][SHARES.index(0.1)] / 0.1 == pytest.approx(precision / CHURNED.mean())


def test_deciles_of_value_rise_with_the_prediction_and_hold_everybody():
    revenue = np.where(RANDOM.uniform(size=2_000) < 0.5, SAID * RANDOM.exponential(100, 2_000), 0.0)
    found = value_deciles(revenue, SAID * 50, DRAWS)
    assert sum(each.customers for each in found) == 2_000
    assert sum(each.customers * each.actual for each in found) == pytest.approx(revenue.sum())
    assert [each.said for each in found] == sorted(each.said for each in found)
    assert all(each.interval.low <= each.actual <= each.interval.high for each in found)
