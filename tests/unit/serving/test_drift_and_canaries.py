"""When a model no longer means what it says, and when a new one says something else of customers it never saw."""

import numpy as np

from serving.evaluation.canary import CanaryBounds, canary_moves
from serving.evaluation.drift import calibration_drift


def outcomes(count: int, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    said = random.beta(2, 2, count)
    return said, random.random(count) < said


def test_scores_that_mean_what_they_say_have_not_drifted():
    for seed in range(20):
        drift = calibration_drift("2011-05-01", *outcomes(400, seed))
        assert not drift.beyond(0.08)
        assert abs(drift.excess) < 0.06


def test_scores_that_are_too_low_have_drifted_however_well_they_rank():
    said, churned = outcomes(1_000)
    drift = calibration_drift("2011-05-01", said * 0.7, churned)
    assert drift.beyond(0.08)
    assert drift.happened - drift.expected > 0.1
    assert not calibration_drift("2011-05-01", said * 0.97, churned).beyond(0.08)


def test_a_bound_of_nothing_is_still_not_chance():
    said, churned = outcomes(2_000, seed=4)
    drift = calibration_drift("2011-05-01", said, churned)
    assert drift.beyond(0.0) == (drift.excess > drift.chance)
    assert drift.chance > 0


def test_few_customers_say_nothing():
    assert calibration_drift("2011-05-01", *outcomes(50)) is None
    assert canary_moves(np.zeros(5), np.ones(5), CanaryBounds()) is None


def test_canaries_that_move_in_the_mean_or_some_of_them_far_are_beyond():
    bounds, former = CanaryBounds(mean=0.1, far=0.3, far_share=0.05), np.full(100, 0.5)
    assert not canary_moves(former, former + 0.09, bounds).beyond(bounds)
    assert canary_moves(former, former + 0.11, bounds).beyond(bounds)
    some = former + np.where(np.arange(100) < 6, 0.4, 0.0)
    assert canary_moves(former, some, bounds).beyond(bounds)
    assert not canary_moves(former, former + np.where(np.arange(100) < 5, 0.4, 0.0), bounds).beyond(bounds)
