"""Calibration on a later period."""

import pytest

pytest.importorskip("torch", reason="training needs the extra `train`, which `make test` installs")

import numpy as np

from serving.training.calibration import intercept_of, platt, revenue_factor
from serving.training.fit import CALIBRATION_DAYS, split
from serving.training.settings import TrainingSettings
from stream.contracts.times import DAY_MS
from tests.unit.serving.recorded_shop import START


def test_platt_scaling_repairs_a_distorted_probability():
    random = np.random.default_rng(3)
    logit = random.normal(size=20_000)
    churned = (random.random(20_000) < 1 / (1 + np.exp(-(0.5 * logit + 1.0)))).astype(np.float32)
    slope, intercept = platt(1 / (1 + np.exp(-logit)), churned)
    assert (slope, intercept) == (pytest.approx(0.5, abs=0.05), pytest.approx(1.0, abs=0.05))


def test_nothing_is_calibrated_on_too_little_or_against_the_ranking():
    raw = np.linspace(0.1, 0.9, 300)
    assert platt(raw, np.full(300, -1.0, np.float32)) == (1.0, 0.0)
    assert platt(raw, np.ones(300, np.float32)) == (1.0, 0.0)
    assert platt(raw, (raw < 0.5).astype(np.float32)) == (1.0, 0.0)
    assert revenue_factor(np.ones(10), np.ones(10, np.float32), np.ones(10)) == 1.0
    assert revenue_factor(np.ones(300), np.full(300, 1.5, np.float32), np.ones(300)) == pytest.approx(1.5)
    assert revenue_factor(np.ones(300), np.full(300, 9.0, np.float32), np.ones(300)) == 2.0


def test_the_level_of_revenue_is_that_of_those_who_weigh_most():
    actual = np.repeat([1.0, 1.6], 200).astype(np.float32)
    assert revenue_factor(np.ones(400), actual, np.repeat([0.0, 1.0], 200)) == pytest.approx(1.6)
    assert revenue_factor(np.ones(400), actual, np.ones(400)) == pytest.approx(1.3)


def test_the_intercept_brings_the_mean_to_the_share_of_churned():
    random = np.random.default_rng(5)
    raw = random.uniform(0.05, 0.6, 4_000)
    churned = (random.random(4_000) < 0.7).astype(np.float32)
    shifted = 1 / (1 + np.exp(-(np.log(raw / (1 - raw)) + intercept_of(1.0, raw, churned))))
    assert shifted.mean() == pytest.approx(churned.mean(), abs=1e-4)
    assert intercept_of(1.0, raw[:10], churned[:10]) == 0.0


def test_what_says_when_to_stop_is_later_than_what_is_trained_on_first_and_known():
    until = START + 400 * DAY_MS
    as_of = np.arange(START, until, DAY_MS)
    parts = split(as_of, until, TrainingSettings())
    assert as_of[parts.early].max() < as_of[parts.later].min()
    assert as_of[parts.later].max() <= until - 90 * DAY_MS
    assert as_of[parts.known].max() <= until - 30 * DAY_MS
    assert len(parts.later) == CALIBRATION_DAYS + 1
