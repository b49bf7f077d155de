"""BG/NBD: against what the paper and the lifetimes package publish, and against customers drawn from the model."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.purchase_rates import PurchaseRates, fit_purchase_rates, log_likelihood

CDNOW = PurchaseRates(0.243, 4.414, 0.793, 2.426)
"""Fader, Hardie, Lee 2005, table 2."""


def drawn(rates: PurchaseRates, customers: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Repeats, last and age of simulated customers, and what they bought in the 26 weeks after."""
    random = np.random.default_rng(seed)
    rows = []
    for _ in range(customers):
        age = random.uniform(27, 39)
        rate, leaves = random.gamma(rates.r, 1 / rates.alpha), random.beta(rates.a, rates.b)
        time, repeats, last, later = 0.0, 0, 0.0, 0
        while True:
            time += random.exponential(1 / rate)
            if time > age + 26:
                break
            if time <= age:
                repeats, last = repeats + 1, time
            else:
                later += 1
            if random.random() < leaves:
                break
        rows.append((repeats, last, age, later))
    table = np.array(rows, float)
    return table[:, 0], table[:, 1], table[:, 2], table[:, 3]


def test_expected_purchases_of_the_papers_example():
    # Customer 1 of the CDNOW tenth: x 2, t_x 30.43, T 38.86; 1.2260 expected in 39 weeks (Fader's spreadsheet note).
    expected = CDNOW.expected(np.array([2.0]), np.array([30.43]), np.array([38.86]), 39.0)
    assert expected[0] == pytest.approx(1.226, abs=0.002)


def test_parameters_come_back_from_customers_drawn_with_them():
    truth = PurchaseRates(0.8, 9.0, 0.6, 3.0)
    repeats, last, age, later = drawn(truth, 6_000, seed=1)
    fitted = fit_purchase_rates(repeats, last, age)
    assert fitted.r == pytest.approx(truth.r, rel=0.15)
    assert fitted.alpha == pytest.approx(truth.alpha, rel=0.2)
    assert fitted.a / (fitted.a + fitted.b) == pytest.approx(truth.a / (truth.a + truth.b), rel=0.25)
    assert log_likelihood(fitted, repeats, last, age) >= log_likelihood(truth, repeats, last, age)
    assert truth.expected(repeats, last, age, 26.0).mean() == pytest.approx(later.mean(), rel=0.05)
    assert truth.silent(repeats, last, age, 26.0).mean() == pytest.approx((later == 0).mean(), abs=0.015)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 60), st.floats(0, 1), st.floats(1, 150), st.floats(0.5, 60))
def test_probabilities_and_counts_are_possible(repeats, share, age, horizon):
    record = np.array([float(repeats)]), np.array([share * age if repeats else 0.0]), np.array([age])
    alive, silent = CDNOW.alive(*record)[0], CDNOW.silent(*record, horizon)[0]
    assert 0 <= alive <= 1
    assert 1 - alive - 1e-12 <= silent <= 1
    assert CDNOW.expected(*record, horizon)[0] >= 1 - silent - 1e-9
    assert CDNOW.silent(*record, horizon + 5)[0] <= silent + 1e-12


def test_who_bought_once_is_alive_but_not_expected_for_ever():
    once = np.array([0.0]), np.array([0.0]), np.array([50.0])
    assert CDNOW.alive(*once)[0] == 1.0
    assert CDNOW.silent(*once, 13.0)[0] > 0.9


def test_what_is_expected_of_a_customer_does_not_depend_on_the_batch() -> None:
    rates = PurchaseRates(0.243, 4.414, 0.793, 2.426)
    draw = np.random.default_rng(1)
    age = draw.uniform(0, 150, 300)
    record = np.floor(draw.uniform(0, 40, 300)), age * draw.uniform(0, 1, 300), age
    together = rates.expected(*record, np.full(300, 26.0))
    alone = [rates.expected(*(column[at : at + 1] for column in record), 26.0)[0] for at in range(300)]
    assert alone == pytest.approx(together.tolist(), rel=1e-13)
