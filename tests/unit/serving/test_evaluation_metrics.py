import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from serving.evaluation.logistic import fit_logistic, sigmoid
from serving.evaluation.metrics import (
    auc,
    average_precision,
    brier,
    calibration_slope,
    ece,
    precision_at,
    ranks,
    recall_at,
    spearman,
)

rows = st.lists(st.tuples(st.booleans(), st.integers(0, 5)), min_size=2, max_size=60).filter(
    lambda pairs: len({truth for truth, _ in pairs}) == 2
)


@given(rows)
def test_auc_and_average_precision_equal_scikit_learns_ties_included(pairs):
    truth, score = zip(*pairs, strict=True)
    assert auc(truth, score) == pytest.approx(roc_auc_score(truth, score))
    assert average_precision(truth, score) == pytest.approx(average_precision_score(truth, score))


def test_one_class_alone_has_no_auc():
    assert math.isnan(auc([True, True], [0.1, 0.2]))
    assert math.isnan(average_precision([False, False], [0.1, 0.2]))


def test_tied_ranks_are_shared():
    assert ranks([3.0, 1.0, 3.0, 2.0]).tolist() == [3.5, 1.0, 3.5, 2.0]


def test_brier_and_calibration_error():
    assert brier([1, 0], [0.8, 0.4]) == pytest.approx((0.04 + 0.16) / 2)
    assert ece([1, 0, 1, 0], [0.5] * 4, bins=1) == 0.0
    assert ece([1, 1, 1, 1], [0.5] * 4) == pytest.approx(0.5)


def test_precision_of_the_top_share():
    assert precision_at([1, 1, 0, 0], [0.9, 0.8, 0.7, 0.1], 0.5) == 1.0
    assert precision_at([0, 1], [0.9, 0.1], 0.01) == 0.0


def test_spearman_is_a_correlation_of_ranks():
    assert spearman([1, 2, 3], [10, 100, 1000]) == pytest.approx(1.0)
    assert spearman([1, 2, 3], [3, 2, 1]) == pytest.approx(-1.0)
    assert math.isnan(spearman([1, 2, 3], [1, 1, 1]))


def test_recall_leaves_empty_baskets_out():
    assert recall_at([["a", "b"], ["c"], ["d"]], [{"b", "x"}, set(), {"d"}], 2) == pytest.approx(0.75)
    assert recall_at([["a", "b"]], [{"b"}], 1) == 0.0
    assert math.isnan(recall_at([["a"]], [set()], 1))


def test_logistic_regression_finds_the_known_weights():
    random = np.random.default_rng(4)
    features = random.normal(size=(20_000, 2)) * [1.0, 5.0] + [0.0, 3.0]
    truth = random.random(20_000) < sigmoid(features @ [1.0, -0.4] + 0.7)
    fitted = fit_logistic(features, truth, ridge=0.0)
    assert fitted.weights / fitted.scale == pytest.approx([1.0, -0.4], abs=0.06)
    assert fitted.probability(features).mean() == pytest.approx(truth.mean(), abs=1e-6)


def test_sigmoid_does_not_overflow():
    assert sigmoid([-1e4, 0.0, 1e4]).tolist() == [0.0, 0.5, 1.0]


def test_a_constant_column_does_no_harm():
    fitted = fit_logistic(np.ones((50, 1)), np.arange(50) % 2 == 0)
    assert fitted.probability(np.ones((1, 1)))[0] == pytest.approx(0.5)


def test_the_calibration_slope_of_a_forecast_that_is_too_extreme_is_below_one():
    random = np.random.default_rng(1)
    log_odds = random.normal(0, 1, 20_000)
    churned = random.random(20_000) < 1 / (1 + np.exp(-log_odds))
    extreme = 1 / (1 + np.exp(-2 * log_odds))
    assert abs(calibration_slope(churned, extreme) - 0.5) < 0.03


@pytest.mark.parametrize(
    ("churned", "said"),
    [([1, 1, 0, 0], [0.9, 0.8, 0.8, 0.1]), ([0, 0, 1], [0.9, 0.8, 0.1]), ([1, 1], [0.9, 0.8]), ([1, 0], [0.5, 0.5])],
)
def test_a_forecast_that_tells_all_apart_or_none_has_no_calibration_slope(churned, said):
    assert np.isnan(calibration_slope(churned, said))
