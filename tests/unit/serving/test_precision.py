"""A graph that decides otherwise is refused, one that does not is let through."""

import msgspec
import numpy as np
import pytest

from serving.evaluation.precision import Shift, churn_shift, refusals, text_shift
from serving.model_card import Threshold

THRESHOLDS = [
    Threshold(horizon="90d", budget_share=0.1, raise_at=0.5, resolve_at=0.45, precision=0.7, base_rate=0.5),
    Threshold(horizon="30d", budget_share=0.1, raise_at=0.8, resolve_at=0.75, precision=0.7, base_rate=0.5),
]
FINE = Shift(rows=1000, crossings=0.0, moved=0.0, alike=1.0)


def outputs(churn: np.ndarray) -> dict[str, np.ndarray]:
    return {"churn": churn.astype(np.float32), "query": np.ones((len(churn), 4), np.float32)}


def drawn(customers: int = 2_000) -> np.ndarray:
    return np.random.default_rng(0).random((customers, 3))


def test_the_same_outputs_are_let_through():
    churn = drawn()
    truth = {90: np.random.default_rng(1).random(len(churn)) < churn[:, 2]}
    shift = churn_shift(outputs(churn), outputs(churn), THRESHOLDS, truth)
    assert shift == Shift(2_000, 0.0, 0.0, 1.0)
    assert refusals(shift) == []


def test_a_customer_who_crosses_is_counted_once_and_noise_below_the_rounding_is_not():
    churn = np.full((4, 3), 0.6)
    other = churn.copy()
    other[0] = 0.2  # crosses both edges of 90 days
    other[1, 2] += 4e-4
    other[2, 0] = 0.74
    other[3, 1] = 0.1  # of 60 days no threshold is known
    assert churn_shift(outputs(churn), outputs(other), THRESHOLDS, {}).crossings == pytest.approx(1 / 4)


def test_a_calibration_that_moves_is_refused_though_nobody_crosses():
    churn = 0.9 + 0.05 * drawn()
    truth = {90: np.random.default_rng(1).random(len(churn)) < churn[:, 2]}
    shift = churn_shift(outputs(churn), outputs(churn + 0.04), THRESHOLDS, truth)
    assert shift.crossings == 0
    assert shift.moved == pytest.approx(0.04, abs=0.02)
    assert "calibration error moves" in refusals(shift)[0]


def test_texts_are_compared_by_their_labels_probabilities_and_vectors():
    exact = np.full((10, 3), 1 / 3, np.float32), np.eye(10, dtype=np.float32)
    turned = exact[1].copy()
    turned[0] = 0.0, 1.0, *([0.0] * 8)
    labels = np.zeros(10, np.int64), np.eye(1, 10, dtype=np.int64)[0]
    shift = text_shift(exact, (exact[0] + np.float32(0.003), turned), *labels)
    assert (shift.rows, shift.crossings, shift.alike) == (10, 0.1, 0.0)
    assert len(refusals(shift)) == 3


@pytest.mark.parametrize(
    "change",
    [
        {"rows": 0},
        {"crossings": 0.0011},
        {"moved": 0.0021},
        {"alike": 0.998},
        {"crossings": float("nan")},
        {"moved": float("nan")},
        {"alike": float("nan")},
    ],
)
def test_each_bound_refuses_alone(change):
    assert refusals(FINE) == []
    assert len(refusals(msgspec.structs.replace(FINE, **change))) == 1
