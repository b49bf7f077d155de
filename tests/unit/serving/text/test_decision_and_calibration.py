"""Labels, calibration and figures of sentiment."""

import numpy as np
import pytest
from sklearn.metrics import f1_score

from serving.text.calibration import calibrate
from serving.text.decision import choose_offsets, decide
from serving.text.measure import figures, intervals, macro_f1


def drawn(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Outcomes, and the probabilities that they were drawn from; the middle class is rare."""
    random = np.random.default_rng(seed)
    scores = random.normal(size=(count, 3)) * 1.5 + [-0.8, -0.8, 1.5]
    probabilities = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    truth = (random.random(count)[:, None] > probabilities.cumsum(1)).sum(1)
    return truth, probabilities


def test_calibration_undoes_a_known_distortion():
    truth, right = drawn(20_000)
    wrong = right**2.0 * [1.0, 4.0, 0.5]
    wrong /= wrong.sum(1, keepdims=True)
    found = calibrate(truth, wrong)
    assert found.slope == pytest.approx(0.5, abs=0.02)
    assert np.abs(found.apply(wrong) - right).max() < 0.03
    before, after = (figures(truth, p, p.argmax(1)) for p in (wrong, found.apply(wrong)))
    assert after["ece_negative"] < 0.01 < before["ece_negative"]
    assert after["log_loss"] < before["log_loss"]


def test_what_is_calibrated_stays_as_it_is():
    truth, right = drawn(20_000)
    found = calibrate(truth, right)
    assert found.slope == pytest.approx(1, abs=0.03)
    assert found.offsets == pytest.approx([0, 0, 0], abs=0.08)


def test_offsets_raise_macro_f1_and_do_not_sell_accuracy():
    truth, right = drawn(8_000)
    offsets = choose_offsets(truth, right)
    other_truth, other = drawn(8_000, seed=1)
    plain, chosen = other.argmax(1), decide(other, offsets)
    assert macro_f1(other_truth, chosen) > macro_f1(other_truth, plain) + 0.005
    assert np.mean(other_truth == chosen) > np.mean(other_truth == plain) - 0.02


def test_no_offset_is_the_most_probable():
    _, right = drawn(100)
    assert np.array_equal(decide(right, (0, 0, 0)), right.argmax(1))
    assert (decide(right, (0, 99, 0)) == 1).all()


def test_a_probability_of_zero_is_no_error():
    assert decide(np.array([[0.0, 0.0, 1.0]]), (1.0, 1.0, 0.0)).tolist() == [2]


def test_macro_f1_is_that_of_scikit_learn():
    truth, right = drawn(500)
    said = right.argmax(1)
    assert macro_f1(truth, said) == pytest.approx(f1_score(truth, said, average="macro"))
    nobody = np.full(500, 2)
    assert macro_f1(truth, nobody) == pytest.approx(f1_score(truth, nobody, average="macro", zero_division=0))


def test_an_interval_holds_its_figure_and_narrows_with_more_reviews():
    def width(count: int) -> float:
        truth, right = drawn(count)

        def on(rows: np.ndarray) -> dict[str, float]:
            return figures(truth[rows], right[rows], right[rows].argmax(1))

        low, high = intervals(truth, on, resamples=100)["accuracy"]
        assert low < on(np.arange(count))["accuracy"] < high
        return high - low

    assert width(4_000) < width(250) / 2
