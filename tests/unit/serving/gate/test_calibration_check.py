"""A version whose probabilities are too low is refused however few customers there are, and an equal one passes."""

import numpy as np
import pytest

from serving.gate.calibration import MARGIN, calibration_in_the_large, not_further_off
from serving.gate.verdict import Check

CUSTOMERS, CUTOFFS, SEEDS = 325, 5, 100
"""As many as the demo's sample has, and the gate's cut-offs."""


def judged(seed: int, factor: float, noise: float = 0.2) -> Check:
    """Both versions are wrong by chance about each customer, the candidate also by ``factor``; a customer is active or
    not, so outcomes at several cut-offs resemble one another."""
    random = np.random.default_rng(seed)
    owner = np.repeat(np.arange(CUSTOMERS), CUTOFFS)
    customer = np.repeat(random.normal(0.6, 1.2, CUSTOMERS), CUTOFFS)
    luck = np.repeat(random.random(CUSTOMERS), CUTOFFS)
    churned = np.where(random.random(len(owner)) < 0.5, luck, random.random(len(owner))) < sigmoid(customer)
    present, candidate = (sigmoid(customer + random.normal(0, noise, len(owner))) for _ in range(2))
    return not_further_off(calibration_in_the_large(owner, churned, present, factor * candidate), CUSTOMERS)


def sigmoid(log_odds: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-log_odds))


@pytest.mark.parametrize("factor", [0.92, 0.96, 1.04, 1.08])
def test_probabilities_that_are_off_by_four_or_eight_percent_are_refused(factor: float) -> None:
    passed = sum(judged(seed, factor).passed for seed in range(SEEDS))
    assert passed <= 0.025 * SEEDS


def test_an_equal_version_passes_in_95_of_100_samples() -> None:
    assert sum(judged(seed, 1.0).passed for seed in range(SEEDS)) >= 95


def test_what_a_few_customers_cannot_rule_out_is_called_undecided_and_what_they_show_is_not() -> None:
    found = [judged(seed, 0.96) for seed in range(SEEDS)]
    assert any(check.undecided for check in found)
    assert all("325 customers are too few" in check.finding for check in found if check.undecided)
    assert all(not check.undecided and not check.passed for check in (judged(seed, 0.7) for seed in range(5)))


def test_a_version_that_is_nearer_to_what_happens_passes_however_far_it_moves() -> None:
    random = np.random.default_rng(1)
    owner, true = np.arange(3_000), sigmoid(random.normal(0.6, 1.2, 3_000))
    churned = random.random(3_000) < true
    difference = calibration_in_the_large(owner, churned, 0.8 * true, 0.98 * true)
    assert difference.better
    assert not_further_off(difference, 3_000).passed
    assert not not_further_off(calibration_in_the_large(owner, churned, 0.98 * true, 0.8 * true), 3_000).passed
    assert MARGIN < 0.04
