"""Calibration on a later period."""

import pytest

pytest.importorskip("torch", reason="training needs the extra `train`, which `make test` installs")

import numpy as np

from serving.training.calibration import platt, revenue_factor
from serving.training.fit import CALIBRATION_DAYS, split
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
    assert revenue_factor(np.ones(10), np.ones(10, np.float32)) == 1.0
    assert revenue_factor(np.ones(300), np.full(300, 1.5, np.float32)) == pytest.approx(1.5)
    assert revenue_factor(np.ones(300), np.full(300, 9.0, np.float32)) == 2.0


def test_calibration_examples_are_later_than_all_training_examples_and_known():
    until = START + 400 * DAY_MS
    as_of = np.arange(START, until, DAY_MS)
    parts = split(as_of, until)
    assert as_of[parts.training].max() < as_of[parts.calibration].min()
    assert as_of[parts.calibration].max() <= until - 90 * DAY_MS
    assert len(parts.calibration) == CALIBRATION_DAYS + 1
