"""The formulas, against scipy, against published figures, and against what must hold whatever the numbers are."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from stream.operations.campaigns import statistics as own
from stream.operations.campaigns.statistics import (
    cap_of,
    customers_for,
    difference_of_means,
    difference_of_shares,
    effect_on_reached,
    mismatch,
    student,
)

COUNTS = st.integers(1, 100_000).flatmap(lambda of: st.tuples(st.integers(0, of), st.just(of)))
AMOUNTS = st.lists(st.floats(0.0, 1e6), min_size=2, max_size=40).map(np.array)


@pytest.mark.parametrize(
    ("one", "of_one", "other", "of_other", "low", "high"),
    [
        # Newcombe 1998, Statistics in Medicine 17, 873-890, method 10: contrasts (a) to (h).
        (56, 70, 48, 80, 0.0524, 0.3339),
        (9, 10, 3, 10, 0.1705, 0.8090),
        (6, 7, 2, 7, 0.0582, 0.8062),
        (5, 56, 0, 29, -0.0381, 0.1926),
        (0, 10, 0, 20, -0.1611, 0.2775),
        (0, 10, 0, 10, -0.2775, 0.2775),
        (10, 10, 0, 20, 0.6791, 1.0000),
        (10, 10, 0, 10, 0.6075, 1.0000),
    ],
)
def test_intervals_of_shares_are_newcombes(
    one: int, of_one: int, other: int, of_other: int, low: float, high: float
) -> None:
    seen = difference_of_shares(one, of_one, other, of_other)
    assert seen is not None
    assert (round(seen.low, 4), round(seen.high, 4)) == (low, high)


@given(COUNTS, COUNTS)
def test_ends_of_shares_are_those_of_scipys_wilson_scores(one: tuple[int, int], other: tuple[int, int]) -> None:
    seen = difference_of_shares(*one, *other)
    assert seen is not None
    shares = one[0] / one[1], other[0] / other[1]
    ends = [stats.binomtest(*each).proportion_ci(0.95, "wilson") for each in (one, other)]
    low = shares[0] - shares[1] - math.hypot(shares[0] - ends[0].low, ends[1].high - shares[1])
    high = shares[0] - shares[1] + math.hypot(ends[0].high - shares[0], shares[1] - ends[1].low)
    assert (seen.low, seen.high) == pytest.approx((low, high), abs=1e-6)
    assert -1.0 - 1e-9 <= seen.low <= seen.difference <= seen.high <= 1.0 + 1e-9


@given(COUNTS, COUNTS)
def test_the_arms_the_other_way_round_turn_the_interval_round(one: tuple[int, int], other: tuple[int, int]) -> None:
    there, back = difference_of_shares(*one, *other), difference_of_shares(*other, *one)
    assert there is not None
    assert back is not None
    assert (there.low, there.high) == pytest.approx((-back.high, -back.low), abs=1e-12)


@given(st.floats(2.0, 1e6))
def test_quantiles_of_t_are_scipys(freedom: float) -> None:
    assert student(freedom) == pytest.approx(stats.t.ppf(0.975, freedom), rel=5e-4)


@given(st.floats(1.0, 2.0))
def test_below_two_degrees_of_freedom_t_is_no_less_than_scipys(freedom: float) -> None:
    assert student(freedom) >= stats.t.ppf(0.975, freedom) - 1e-9


@given(AMOUNTS, AMOUNTS)
def test_no_interval_of_means_is_narrower_than_welchs_by_scipy(one: own.Floats, other: own.Floats) -> None:
    seen = difference_of_means(one, other)
    assert seen is not None
    assert all(math.isfinite(value) for value in (seen.low, seen.high, seen.difference))
    error = math.sqrt(one.var(ddof=1) / len(one) + other.var(ddof=1) / len(other))
    assert seen.high - seen.low >= 2 * 1.9599 * error * (1 - 1e-6) - 1e-6


def test_where_the_hold_out_varies_more_the_interval_is_welchs() -> None:
    random = np.random.default_rng(4)
    one, other = random.normal(5.0, 1.0, 200), random.normal(3.0, 9.0, 20)
    seen = difference_of_means(one, other)
    welch = stats.ttest_ind(one, other, equal_var=False).confidence_interval(0.95)
    assert seen is not None
    assert (seen.low, seen.high) == pytest.approx((welch.low, welch.high), rel=1e-6)


def test_where_the_hold_out_varies_less_the_interval_is_students() -> None:
    random = np.random.default_rng(5)
    one, other = random.normal(5.0, 9.0, 200), random.normal(3.0, 1.0, 20)
    seen = difference_of_means(one, other)
    student_t = stats.ttest_ind(one, other, equal_var=True).confidence_interval(0.95)
    assert seen is not None
    assert (seen.low, seen.high) == pytest.approx((student_t.low, student_t.high), rel=1e-6)


@pytest.mark.parametrize(("treated", "holdout"), [([], [1.0, 2.0]), ([1.0, 2.0], []), ([1.0], [1.0, 2.0])])
def test_of_an_arm_with_fewer_than_two_nothing_is_told(treated: list[float], holdout: list[float]) -> None:
    assert difference_of_means(np.array(treated), np.array(holdout)) is None
    assert effect_on_reached(np.array(treated), np.array(treated), np.array(holdout), np.array(holdout))[0] is None


def test_where_nothing_varies_no_customers_are_asked_for() -> None:
    means = difference_of_means(np.zeros(5), np.zeros(5))
    shares = difference_of_shares(0, 50, 0, 50)
    assert means is not None
    assert shares is not None
    assert (means.low, means.high, means.detectable, means.needed) == (0.0, 0.0, None, None)
    assert (shares.detectable, shares.needed) == (None, None)
    assert difference_of_shares(0, 0, 3, 5) is None
    assert cap_of(np.zeros(4)) is None


def test_of_as_many_customers_as_asked_for_four_in_five_draws_see_the_difference() -> None:
    """Counted, not computed: 4,000 pairs of binomial arms."""
    base, detect, share = 0.4, 0.05, 0.2
    customers = customers_for(detect, math.sqrt(0.41 * 0.59), share)
    random = np.random.default_rng(6)
    holdout = round(customers * share)
    treated = customers - holdout
    seen = 0
    for one, other in zip(
        random.binomial(treated, base + detect, 4_000), random.binomial(holdout, base, 4_000), strict=True
    ):
        found = difference_of_shares(int(one), treated, int(other), holdout)
        seen += found is not None and found.low > 0.0
    assert 0.77 < seen / 4_000 < 0.83


def test_the_least_difference_that_shows_asks_for_the_customers_there_are() -> None:
    found = difference_of_shares(1_900, 4_000, 400, 1_000)
    assert found is not None
    assert found.detectable is not None
    both = 2_300 / 5_000
    assert customers_for(found.detectable, math.sqrt(both * (1 - both)), 0.2) == pytest.approx(5_000, abs=1)


@given(st.integers(0, 5_000), st.integers(0, 5_000), st.floats(0.01, 0.99))
def test_the_test_of_the_draw_is_scipys_chi_square(treated: int, holdout: int, share: float) -> None:
    drawn = mismatch(treated, holdout, share)
    customers = treated + holdout
    if not customers:
        assert drawn is None
        return
    wanted = stats.chisquare([treated, holdout], [customers * (1 - share), customers * share])
    assert drawn is not None
    assert drawn.chi_square == pytest.approx(wanted.statistic, rel=1e-6, abs=1e-9)
    assert drawn.p == pytest.approx(wanted.pvalue, rel=1e-6, abs=1e-12)


def test_without_a_share_there_is_no_draw_to_test() -> None:
    assert mismatch(10, 0, 0.0) is None
    assert mismatch(0, 10, 1.0) is None


def test_where_everybody_is_reached_the_effect_is_the_difference() -> None:
    random = np.random.default_rng(7)
    one, other = random.normal(5.0, 2.0, 400), random.normal(4.0, 3.0, 300)
    effect, strength = effect_on_reached(one, np.ones(400), other, np.zeros(300))
    seen = difference_of_means(one, other)
    assert math.isinf(strength)
    assert effect is not None
    assert seen is not None
    assert effect.effect == pytest.approx(seen.difference)
    assert effect.low == pytest.approx(seen.low, abs=2e-3)


def test_the_effect_on_the_reached_is_two_stage_least_squares_with_robust_errors() -> None:
    """Where the arms vary unalike so that Welch's error counts: the sandwich with the factor n / (n - 1) by arm."""
    random = np.random.default_rng(8)
    n, m = 900, 200
    reached = (random.random(n) < 0.4).astype(float)
    one, other = random.normal(2.0, 1.0, n) + reached, random.normal(2.0, 4.0, m)
    effect, _ = effect_on_reached(one, reached, other, np.zeros(m))
    assert effect is not None
    y, d, z = np.concatenate([one, other]), np.concatenate([reached, np.zeros(m)]), np.repeat([1.0, 0.0], [n, m])
    instruments, regressors = np.column_stack([np.ones(n + m), z]), np.column_stack([np.ones(n + m), d])
    beta = np.linalg.solve(instruments.T @ regressors, instruments.T @ y)
    left = y - regressors @ beta
    left *= np.where(z == 1.0, math.sqrt(n / (n - 1)), math.sqrt(m / (m - 1)))
    bread = np.linalg.inv(instruments.T @ regressors)
    errors = np.sqrt(np.diag(bread @ (instruments.T * left**2) @ instruments @ bread.T))
    assert effect.effect == pytest.approx(beta[1])
    assert (effect.high - effect.low) / 2 == pytest.approx(stats.norm.ppf(0.975) * errors[1], rel=1e-6)


def test_of_few_who_were_reached_no_effect_is_told() -> None:
    reached = np.zeros(500)
    reached[:3] = 1.0
    effect, strength = effect_on_reached(np.ones(500), reached, np.zeros(60), np.zeros(60))
    assert effect is None
    assert 0.0 < strength < own.STRONG
